"""Kubernetes quantities."""

import pytest

from etabli.kernel import errors, quantities


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", 0.5),
        (2, 2.0),
        ("2Gi", 2**31),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        ("100k", 1e5),
        ("1E", 1e18),
        (".5", 0.5),
        ("0", 0),
    ],
)
def test_quantities_read_as_kubernetes_reads_them(text: object, value: float) -> None:
    assert quantities.parse(text) == value


@pytest.mark.parametrize(
    "text", ["", "2GB", "-1", "1 000", "NaN", "inf", "1e9999", "1e999", True, None, "9" * 100, "2Gi\n2Gi"]
)
def test_what_is_no_quantity_is_refused(text: object) -> None:
    with pytest.raises(errors.Invalid):
        quantities.parse(text)


def test_bytes_are_whole() -> None:
    assert quantities.size("1.5") == 2
    assert quantities.cores("1234567u") == 1.235
