"""Colours that can be read: contrast as WCAG 2.2 measures it (1.4.3), and an accent made to pass it in both themes.

The accent is text on the pages' ground (links) and ground under text (buttons); both need 4.5:1. One that does not is made darker
for the light theme, lighter for the dark one, its hue kept.
"""

import colorsys
from dataclasses import dataclass

READABLE = 4.5  # Of text of usual size (WCAG 2.2, 1.4.3, AA).
LIGHT_GROUND, DARK_GROUND = "#f7f6f3", "#141518"  # As etabli.css has them.
LIGHT_INK, DARK_INK = "#ffffff", "#14161c"  # What stands on the accent.
STEPS = 100


@dataclass(frozen=True)
class Accent:
    """One accent, as each theme has it."""

    light: str
    dark: str
    is_corrected: bool  # Whether what was asked for could not be read on the light ground.

    def style(self) -> str:
        """The style sheet that puts it in place of the lab's own."""
        names = {
            "--accent": (self.light, self.dark),
            "--accent-strong": (_mixed(self.light, "#000000", 0.18), _mixed(self.dark, "#ffffff", 0.3)),
            "--accent-soft": (soften(self.light, is_light=True), soften(self.dark, is_light=False)),
            "--brand-end": (self.light, self.dark),
        }
        lines = [f"  {name}: light-dark({light}, {dark});" for name, (light, dark) in names.items()]
        return "\n".join([":root, [data-theme] {", *lines, "}\n"])


def contrast(one: str, other: str) -> float:
    """The contrast of two colours `#rrggbb`, from 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def soften(colour: str, *, is_light: bool) -> str:
    """The ground that letters in the accent stand on, as in the icons of rows."""
    return _mixed(colour, LIGHT_INK, 0.9) if is_light else _mixed(colour, DARK_GROUND, 0.82)


def accent(colour: str) -> Accent:
    """`colour`, as near to itself as can be read in each theme."""
    light = _readable(colour, grounds=(LIGHT_GROUND, LIGHT_INK), darker=True)
    dark = _readable(colour, grounds=(DARK_GROUND, "#1c1e23", DARK_INK), darker=False)
    return Accent(light=light, dark=dark, is_corrected=light != colour.lower())


def _readable(colour: str, *, grounds: tuple[str, ...], darker: bool) -> str:
    """The colour, moved towards black or white until it is read on each ground."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_parts(colour))
    for step in range(STEPS + 1):
        share = step / STEPS
        moved = lightness * (1 - share) if darker else lightness + (1 - lightness) * share
        found = colour.lower() if step == 0 else _text(colorsys.hls_to_rgb(hue, moved, saturation))
        soft = soften(found, is_light=darker)
        if all(contrast(found, ground) >= READABLE for ground in (*grounds, soft)):
            return found
    return "#000000" if darker else "#ffffff"


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, its definition)."""
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mixed(colour: str, other: str, share: float) -> str:
    red, green, blue = (one * (1 - share) + two * share for one, two in zip(_parts(colour), _parts(other), strict=True))
    return _text((red, green, blue))


def _parts(colour: str) -> tuple[float, float, float]:
    red, green, blue = bytes.fromhex(colour[1:])
    return red / 255, green / 255, blue / 255


def _text(parts: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in parts)
