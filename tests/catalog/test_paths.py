"""Names of values read back to the paths they were written from."""

import pytest

from etabli.catalog import paths


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("resources", "limits", "memory"), "resources.limits.memory"),
        (("replicas",), "replicas."),
        (("extraEnvVars", 0, "name"), "extraEnvVars[0].name"),
        (("spark", "spark.driver.memory"), r"spark.spark\.driver\.memory"),
        (("a", r"b\c", "d[0]"), r"a.b\\c.d\[0\]"),
        (("m", 1, 2), "m[1][2]"),
    ],
)
def test_a_name_reads_back_to_its_path(path: paths.Path, name: str) -> None:
    assert paths.name(path) == name
    assert paths.parse(name) == path


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "a[x]", "[0]", "a[0", "a[99999]", "x" * 501, "a." * 40 + "b", "a.\\"]
)
def test_what_is_no_name_is_no_path(name: str) -> None:
    assert paths.parse(name) is None
