"""Alembic's revisions of the database. `assembly.migrations` runs them; tools/revision.py drafts the next."""
