"""The form of a project's quota, on its page and on its person's: empty fields are what the lab gives to everybody."""

import math
from dataclasses import dataclass

from etabli.kernel import errors
from etabli.services.quotas import GIB, Limits

LONGEST = 20


@dataclass(frozen=True)
class Typed:
    """The fields as text; empty: as the lab gives."""

    services: str = ""
    cores: str = ""
    memory: str = ""  # GiB.


def typed_of(own: Limits) -> Typed:
    """A project's own limits as a form shows them."""
    return Typed(
        services="" if own.services is None else str(own.services),
        cores="" if own.cores is None else f"{own.cores:g}",
        memory="" if own.memory_bytes is None else f"{own.memory_bytes / GIB:g}",
    )


def limits_of(typed: Typed) -> Limits:
    """What was typed. Invalid by field; a comma is a decimal point too."""
    faults: dict[str, str] = {}
    services = _number("services", typed.services, faults)
    cores = _number("cores", typed.cores, faults)
    memory = _number("memory", typed.memory, faults)
    if services is not None and services != int(services):
        faults["services"] = "must be a whole number"
    if faults:
        raise errors.Invalid("a quota is wrong", hint="see each field", fields=faults)
    return Limits(
        services=None if services is None else int(services),
        cores=cores,
        memory_bytes=None if memory is None else int(memory * GIB),
    )


def _number(field: str, text: str, faults: dict[str, str]) -> float | None:
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        number = float(text[:LONGEST])
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0 or len(text) > LONGEST:
        faults[field] = "must be a number"
        return None
    return number
