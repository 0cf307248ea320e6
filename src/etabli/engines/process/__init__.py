"""(to be described by its first session)"""
