"""Backups, from sealed pieces to a lab made anew."""
