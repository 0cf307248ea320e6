"""Promises of `etabli.door`."""
