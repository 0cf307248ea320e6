"""Kubernetes quantities: `500m` cores, `2Gi` bytes (k8s.io/apimachinery/pkg/api/resource/quantity.go)."""

import math
import re

from etabli.kernel import errors

_QUANTITY = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))((?:[eE][+-]?\d{1,3})|[numkMGTPE]|Ki|Mi|Gi|Ti|Pi|Ei)?")
_FACTORS = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}
MAX_LENGTH = 64


def parse(quantity: object) -> float:
    """The number that a quantity stands for. Invalid where it is none, or negative."""
    text = str(quantity).strip()
    found = _QUANTITY.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if found is None or isinstance(quantity, bool):
        raise errors.Invalid(f"`{text[:40]}` is not a quantity", hint="write it as `500m`, `2`, `512Mi` or `2Gi`")
    number, suffix = found.group(1), found.group(2) or ""
    value = float(number + suffix) if suffix[:1] in "eE" and len(suffix) > 1 else float(number) * _FACTORS[suffix]
    if not 0 <= value < math.inf:
        raise errors.Invalid(f"`{text}` is out of bounds", hint="give a quantity of zero or more")
    return value


def cores(quantity: object) -> float:
    """Cores, to the thousandth."""
    return round(parse(quantity), 3)


def size(quantity: object) -> int:
    """Bytes, rounded up."""
    value = parse(quantity)
    return int(value) + (value > int(value))
