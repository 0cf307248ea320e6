"""Tests of secrets."""  # noqa: A005 - It mirrors the room, and is imported as `tests.secrets`.
