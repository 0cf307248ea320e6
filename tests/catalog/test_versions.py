"""Versions sort as SemVer says, and a release comes before a prerelease."""

import pytest

from etabli.catalog import versions


def test_versions_sort_as_semver_says() -> None:
    ordered = [
        "x",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-rc.2",
        "1.0.0-rc.11",
        "1.0.0",
        "1.2.3",
        "1.10.0",
    ]
    assert sorted([*ordered[4:], *ordered[:4]], key=versions.key) == ordered


@pytest.mark.parametrize(
    ("offered", "newest"),
    [
        (["1.0.0", "2.0.0-rc.1", "1.9.0", "1.10.0"], "1.10.0"),
        (["2.0.0-rc.1", "2.0.0-rc.2"], "2.0.0-rc.2"),
        (["v1.2", "1.1.9"], "v1.2"),
    ],
)
def test_the_default_is_the_newest_that_is_no_prerelease(offered: list[str], newest: str) -> None:
    assert versions.newest(offered) == newest
