"""Etabli: a self-service data lab for statisticians and data scientists, in one command."""
