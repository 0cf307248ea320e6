"""Tests mirror src, room by room."""
