"""Promises of `etabli.components`."""
