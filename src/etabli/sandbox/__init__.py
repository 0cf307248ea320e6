"""Walls of this machine: user and network namespaces of a project, `bwrap` sandboxes, limits. No root, no container engine.

The engine runs pods in it, environments are built in it, components live behind it. It knows nothing of charts or services.
"""
