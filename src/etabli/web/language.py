"""Languages: which one a request wants, and the messages in it.

Source strings are English; `messages/<language>.po` holds each other language and is read at start, so that no compiled catalogue can
drift from its source. Errors are raised in plain English by rooms that know nothing of languages: their sentences are messages too,
with `{}` for each value, and `Messages.sentence` finds the one that a raised text was made from.
"""

import gettext
import io
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from babel import Locale
from babel.messages import mofile, pofile

SOURCE = "en"
NAMES: Mapping[str, str] = {"en": "English", "fr": "Français"}  # Each in itself, as a reader looks for it.
_PLACE = re.compile(r"\{([0-9]?)\}")  # Where a value stands.
FOLDER = Path(__file__).parent / "messages"


class Messages:
    """The messages of one language."""

    def __init__(self, *, language: str, translations: gettext.NullTranslations, patterns: Mapping[str, str]) -> None:
        self.language = language
        self.locale = Locale.parse(language)
        self._translations = translations
        self._patterns = [(_pattern(source), text) for source, text in patterns.items()]

    def gettext(self, message: str) -> str:
        """`message` in this language, itself where there is no other."""
        return self._translations.gettext(message) if message else ""

    def ngettext(self, singular: str, plural: str, number: float) -> str:
        """The form that this language has for `number`."""
        # gettext's plural rules take integers; 0.6 is singular in French and plural in English, as 0 is.
        return self._translations.ngettext(singular, plural, int(number) if number >= 2 or number == 1 else 0)

    def sentence(self, text: str) -> str:
        """A sentence raised in English, values inside, in this language; as raised where it has no translation."""
        known = self.gettext(text)
        if known != text:
            return known
        for pattern, translated in self._patterns:
            if found := pattern.fullmatch(text):
                return _fill(translated, [self._value(value) for value in found.groups()])
        return text

    def _value(self, value: str) -> str:
        """A value inside a sentence: often a name, sometimes a sentence of its own."""
        return self.sentence(value) if " " in value else value


@lru_cache(maxsize=1)
def load() -> Mapping[str, Messages]:
    """Every language, from its file."""
    languages = {SOURCE: Messages(language=SOURCE, translations=gettext.NullTranslations(), patterns={})}
    for path in sorted(FOLDER.glob("*.po")):
        languages[path.stem] = _read(path)
    return languages


def choose(*, chosen: str | None, accepted: str, default: str) -> str:
    """The language to answer in: what the person chose, else the best of `Accept-Language` (RFC 9110, 12.5.4), else the lab's."""
    if chosen is not None and chosen in NAMES:
        return chosen
    for tag in _by_preference(accepted):
        if tag in NAMES:
            return tag
    return default


def _read(path: Path) -> Messages:
    with path.open("rb") as file:
        catalogue = pofile.read_po(file, locale=path.stem)
    compiled = io.BytesIO()
    mofile.write_mo(compiled, catalogue)
    compiled.seek(0)
    patterns = {
        message.id: str(message.string)
        for message in catalogue
        if isinstance(message.id, str) and "{}" in message.id and message.string and not message.fuzzy
    }
    # The most precise first: more words outside the values.
    ordered = dict(sorted(patterns.items(), key=lambda item: -len(item[0])))
    return Messages(language=path.stem, translations=gettext.GNUTranslations(compiled), patterns=ordered)


def _pattern(source: str) -> re.Pattern[str]:
    return re.compile("(.*?)".join(re.escape(part) for part in source.split("{}")), re.DOTALL)


def _fill(translated: str, values: Sequence[str]) -> str:
    """The values in place of each `{}` in turn, or of `{0}`, `{1}`… where a language puts them in another order."""
    waiting = iter(values)
    return _PLACE.sub(lambda place: values[int(place[1])] if place[1] else next(waiting, ""), translated)


def _by_preference(accepted: str) -> list[str]:
    weighted: list[tuple[float, str]] = []
    for item in accepted[:500].split(","):
        tag, _, parameter = item.strip().partition(";")
        quality = parameter.strip().removeprefix("q=")
        try:
            weighted.append((-float(quality) if quality else -1.0, tag.strip().lower().partition("-")[0]))
        except ValueError:
            continue
    return [tag for weight, tag in sorted(weighted, key=lambda pair: pair[0]) if weight < 0]
