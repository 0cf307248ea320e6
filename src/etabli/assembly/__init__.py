"""Binds the rooms to one another: settings to rooms, ports to those who keep them, processes to a plan.

`main` chooses; this connects.
"""
