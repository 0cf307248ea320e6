"""Templates: found, given what every page has, rendered in the reader's language.

A template names only what its page gives it: a name that is not there is an error (StrictUndefined), and a test renders each.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from etabli.identity.data_classes import DataClasses
from etabli.kernel.clock import Clock
from etabli.kernel.settings import LabSettings
from etabli.web import language, markdown
from etabli.web.assets import Assets
from etabli.web.branding import Branding
from etabli.web.classes import Classes
from etabli.web.formats import Formats

FOLDER = Path(__file__).parent / "templates"


class Renderer:
    """One environment of templates for each language."""

    def __init__(
        self, *, lab: LabSettings, clock: Clock, assets: Assets, classes: DataClasses, branding: Branding
    ) -> None:
        self.languages = language.load()
        self._lab = lab
        self._pages: frozenset[str] = frozenset()
        self._classes = classes
        self._branding = branding
        self._environments = {code: self._environment(code, clock, assets) for code in self.languages}

    def know(self, pages: Iterable[str]) -> None:
        """Tell which addresses have a page: navigation leads nowhere else."""
        self._pages = frozenset(pages)

    def has_page(self, address: str) -> bool:
        """Whether a page is at this address."""
        return address in self._pages

    def render(self, name: str, *, code: str, context: Mapping[str, object]) -> str:
        """The template `name`, whole or partial, in the language `code`."""
        return self._environments[code].get_template(name).render(**context)

    def rendered(self, code: str) -> frozenset[str]:
        """The names of the templates that were rendered so far in a language; a test asks."""
        cache = self._environments[code].cache
        return frozenset(name for _loader, name in cache) if cache is not None else frozenset()

    def messages(self, code: str) -> language.Messages:
        """The messages of a language."""
        return self.languages[code]

    def formats(self, code: str) -> Formats:
        """How a language writes numbers and moments."""
        formats = self._environments[code].globals["fmt"]
        assert isinstance(formats, Formats)
        return formats

    def _environment(self, code: str, clock: Clock, assets: Assets) -> Environment:
        messages = self.languages[code]
        environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        )
        install: Any = environment  # The i18n extension adds this method at run time.
        install.install_gettext_callables(messages.gettext, messages.ngettext, newstyle=True)
        environment.globals.update(
            fmt=Formats(messages=messages, clock=clock),
            asset=assets.address,
            brand=self._branding.current,
            lab=self._lab,
            data_classes=Classes(self._classes, code),
            language=code,
            languages=language.NAMES,
        )
        environment.tests["page"] = lambda address: address in self._pages
        environment.filters["markdown"] = markdown.html
        environment.filters["said"] = messages.sentence
        environment.filters["sentence"] = lambda text: _marked(messages.sentence(text))
        environment.filters["capital"] = _capital
        environment.filters["letters"] = _letters
        environment.filters["initials"] = _initials
        return environment


def _capital(text: str) -> str:
    """The sentence with its first letter in upper case, the rest as it is."""
    return text[:1].upper() + text[1:]


def _marked(text: str) -> Markup:
    """A sentence whose values stand between backticks, those shown as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    shown = [Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)]
    return Markup("").join(shown)


def _letters(text: str) -> str:
    """Two letters that stand for a thing: the first two of its name."""
    plain = "".join(letter for letter in text if letter.isalnum())
    return plain[:2].capitalize() or "·"


def _initials(text: str) -> str:
    """Two letters that stand for a person: of the first and the last word of their name."""
    words = [word for word in text.split() if word[0].isalnum()]
    if len(words) > 1:
        return (words[0][0] + words[-1][0]).upper()
    return words[0][:2].upper() if words else "·"
