"""The administrator's use cases: people, projects, services, catalogues, quotas, seen and changed across the whole lab.

Each asks first whether who calls is an administrator; what it does to others' things is told to them, with the reason given.
"""
