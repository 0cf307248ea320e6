"""Who may call which route: one table a section, put together in `test_access.py` and held against the router itself.

A section lists its routes in a dictionary `ROUTES`, by `METHOD path` as the router has it, each with a policy of `rules` and what a
good request to it holds. A route that no section lists fails the tests with its name; so does a line whose route is gone.
"""
