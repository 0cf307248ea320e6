"""Versions of charts: SemVer 2 (semver.org, 11), as Helm reads it, a leading `v` allowed. What is no version sorts below all."""

import re
from collections.abc import Iterable

_VERSION = re.compile(
    r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:-([0-9A-Za-z.-]{1,100}))?(?:\+[0-9A-Za-z.-]{1,100})?"
)

Key = tuple[tuple[int, ...], int, tuple[tuple[int, int, str], ...]]


def key(version: str) -> Key:
    """What to sort by: 1.2.3-rc.1 < 1.2.3 < 1.10.0."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return ((-1,), 0, ())
    numbers = tuple(int(part or 0) for part in found.group(1, 2, 3))
    prerelease = found.group(4)
    if prerelease is None:
        return (numbers, 1, ())
    parts = prerelease.split(".")
    return (numbers, 0, tuple((0, int(p), "") if p.isdigit() and len(p) < 19 else (1, 0, p) for p in parts))


def is_version(text: str) -> bool:
    """Whether it is one at all."""
    return _VERSION.fullmatch(text) is not None


def is_prerelease(version: str) -> bool:
    """Whether it comes before a release: `1.2.3-rc.1`."""
    found = _VERSION.fullmatch(version)
    return found is not None and found.group(4) is not None


def newest(versions: Iterable[str]) -> str:
    """The newest that is not a prerelease; the newest of all where each is one. ValueError where there is none."""
    ordered = sorted(versions, key=key, reverse=True)
    if not ordered:
        raise ValueError("no version")
    return next((version for version in ordered if not is_prerelease(version)), ordered[0])
