"""The command line: parse, call one use case, show.

Services are reached through the API; what is this machine's, through `ports.Lab`.
"""
