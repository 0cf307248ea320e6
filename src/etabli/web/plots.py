"""Plots as data for templates: bars over days, drawn as SVG by the lab itself; the same numbers stand in a table beside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 720, 200  # Of the drawing, in its own units: it takes the width that there is.
LEFT, BOTTOM, TOP = 44, 20, 8
FEW_LABELS = 6
LEAST_TOP = 0.1  # Two digits tell its half from nothing.


@dataclass(frozen=True)
class Bar:
    """One day."""

    day: date
    value: float
    x: float
    y: float
    width: float
    height: float
    is_labelled: bool


@dataclass(frozen=True)
class Plot:
    """Bars, and the lines that tell their height."""

    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, float], ...]  # Where, and which value.
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    floor: int = HEIGHT - BOTTOM


def of_days(values: Sequence[tuple[date, float]]) -> Plot:
    """A bar a day, from zero up to a round number above the highest."""
    top = _round_up(max((value for _, value in values), default=0.0))
    room, step = HEIGHT - BOTTOM - TOP, (WIDTH - LEFT) / max(len(values), 1)
    every = max(1, len(values) // FEW_LABELS)
    bars = tuple(
        Bar(
            day=day,
            value=value,
            x=round(LEFT + place * step + step * 0.1, 1),
            y=round(HEIGHT - BOTTOM - room * value / top, 1),
            width=round(step * 0.8, 1),
            height=round(room * value / top, 1),
            is_labelled=(len(values) - 1 - place) % every == 0,
        )
        for place, (day, value) in enumerate(values)
    )
    lines = tuple((round(HEIGHT - BOTTOM - room * part, 1), top * part) for part in (0.0, 0.5, 1.0))
    return Plot(bars=bars, lines=lines)


def _round_up(value: float) -> float:
    """1, 2 or 5 times a power of ten, at least `value`; 1 for nothing."""
    if value <= 0:
        return 1.0
    scale = LEAST_TOP
    while True:
        for factor in (1, 2, 5):
            if factor * scale >= value:
                return factor * scale
        scale *= 10
