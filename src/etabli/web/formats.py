"""Numbers, sizes and moments as people of one language write them.

French takes a comma, a no-break space before a unit and its own units (Gio for GiB). A moment is shown relative to now, with the
whole of it on hover; browsers put that in the reader's own time zone (static/etabli.js).
"""

from datetime import date, datetime, timedelta

from babel import dates, numbers
from markupsafe import Markup

from etabli.kernel.clock import Clock
from etabli.web.language import Messages

NBSP = "\u00a0"
UNITS = {"en": ("B", "KiB", "MiB", "GiB", "TiB"), "fr": ("o", "Kio", "Mio", "Gio", "Tio")}
STEP = 1024


class Formats:
    """How one language writes things."""

    def __init__(self, *, messages: Messages, clock: Clock) -> None:
        self._messages = messages
        self._locale = messages.locale
        self._clock = clock

    def number(self, value: float, digits: int = 1) -> str:
        """At most `digits` decimals, none where they are zeros."""
        return numbers.format_decimal(round(value, digits), format=f"#,##0.{'#' * digits}", locale=self._locale)

    def size(self, count: float) -> str:
        """Bytes in the largest binary unit that leaves one digit before the comma."""
        unit, scale = self._unit(count)
        return f"{self.number(count / scale)}{NBSP}{unit}"

    def size_of(self, used: float | None, limit: float) -> str:
        """`1.1 / 4 GiB`, in the unit of the limit; a dash where the use is not known."""
        unit, scale = self._unit(limit)
        shown = "–" if used is None else self.number(used / scale)
        return f"{shown} / {self.number(limit / scale)}{NBSP}{unit}"

    def cores(self, count: float) -> str:
        """`2 cores`, `0.5 core`."""
        unit = self._messages.ngettext("core", "cores", count)
        return f"{self.number(count)}{NBSP}{unit}"

    def cores_of(self, used: float | None, limit: float) -> str:
        """`0.6 / 2 cores`."""
        return f"{'–' if used is None else self.number(used)} / {self.cores(limit)}"

    def duration(self, length: timedelta) -> str:
        """`6 days`, `42 minutes`, rounded to one unit."""
        return dates.format_timedelta(length, locale=self._locale, threshold=1.2).replace(" ", NBSP)

    def since(self, moment: datetime) -> str:
        """How long ago `moment` was, as a duration."""
        return self.duration(max(timedelta(seconds=1), self._clock.now() - moment))

    def ago(self, moment: datetime) -> str:
        """`3 hours ago`, `in 2 days`."""
        return dates.format_timedelta(
            moment - self._clock.now(), add_direction=True, threshold=1.2, locale=self._locale
        )

    def day(self, moment: datetime) -> str:
        """`24 November 2026`; the time of day in UTC is in `whole`."""
        return dates.format_date(moment, format="long", locale=self._locale)

    def moment(self, moment: datetime) -> str:
        """`24 Nov 2026, 14:05`, in UTC: what stands in a column."""
        return dates.format_datetime(moment, format="medium", locale=self._locale)

    def short_day(self, day: date) -> str:
        """`24 Nov`: below a bar."""
        return dates.format_skeleton("MMMd", day, locale=self._locale)

    def whole_day(self, day: date) -> str:
        """`24 November 2026`, of a day without its time."""
        return dates.format_date(day, format="long", locale=self._locale)

    def whole(self, moment: datetime) -> str:
        """The moment whole, in UTC."""
        return dates.format_datetime(moment, format="long", locale=self._locale)

    def time(self, moment: datetime, text: str) -> Markup:
        """A `<time>` that reads `text` and tells the whole moment on hover."""
        return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), self.whole(moment), text)

    def is_soon(self, moment: datetime, *, within: timedelta = timedelta(days=1)) -> bool:
        """Whether `moment` comes within a day."""
        return moment - self._clock.now() <= within

    def _unit(self, count: float) -> tuple[str, int]:
        names = UNITS.get(self._messages.language, UNITS["en"])
        power = 0
        while power < len(names) - 1 and count >= STEP ** (power + 1):
            power += 1
        return names[power], STEP**power
