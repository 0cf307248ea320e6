"""What makes the pages an institution's own: an accent, a logo, what home says, links; read from `etabli.toml` and a folder beside it.

Read again when a file changes: a lab in use need not be restarted. What is wrong is told to administrators, and the rest holds:
a page is never lost to a mistake in its branding.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import Markup

from etabli.kernel import errors, settings
from etabli.kernel.clock import Clock
from etabli.web import colours, markdown
from etabli.web.settings import BrandingSettings

SECTION = "branding"
LOGOS = {"logo.svg": "image/svg+xml", "logo.png": "image/png"}  # The first that is there.
LOGO_BYTES = 200_000
TEXT_BYTES = 50_000
LOOK_SECONDS = 2.0  # How often files are looked at.
FOLDER = re.compile(r"branding[a-z0-9.-]{0,40}")
# A logo is drawn, nothing else: what it may not be is run, loaded or framed, were its address opened by itself.
LOGO_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
REFUSED_ELEMENTS = frozenset({"script", "foreignobject", "iframe", "object", "embed", "animate", "set", "handler"})


@dataclass(frozen=True)
class Logo:
    """A picture, as it is served."""

    content: bytes
    media_type: str
    digest: str


@dataclass(frozen=True)
class Text:
    """What home says in one language."""

    title: str  # Empty: the lab's own words.
    body: Markup


@dataclass(frozen=True)
class Brand:
    """All of it, as it holds now."""

    settings: BrandingSettings = field(default_factory=BrandingSettings)
    accent: colours.Accent | None = None
    logo: Logo | None = None
    home: Mapping[str, Text] = field(default_factory=dict)  # By language.
    faults: tuple[str, ...] = ()  # Sentences for administrators.

    @property
    def style(self) -> str:
        """The style sheet of its accent; empty where the lab's own holds."""
        return self.accent.style() if self.accent else ""

    @property
    def style_digest(self) -> str:
        """Names the style sheet in its address; empty where there is none."""
        return hashlib.sha256(self.style.encode()).hexdigest()[:16] if self.accent else ""

    def links(self, place: str, code: str) -> list[tuple[str, str]]:
        """The links of `header` or `footer`, address and text in a language, else in any."""
        found = self.settings.header if place == "header" else self.settings.footer
        return [(link.url, link.text.get(code) or next(iter(link.text.values()), link.url)) for link in found]


class Branding:
    """The branding of one lab. `folder` holds `etabli.toml`."""

    def __init__(self, *, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._looked_at = float("-inf")
        self._seen: object = None
        self._brand = Brand()

    def current(self) -> Brand:
        """What holds now."""
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            seen = self._signature()
            if seen != self._seen:
                self._seen, self._brand = seen, self._read(None, "")
        return self._brand

    def preview(self, *, folder: str = "", accent: str = "") -> Brand:
        """What would hold with another folder or accent; nothing is changed. Invalid names what cannot be."""
        if folder and not FOLDER.fullmatch(folder):
            raise errors.Invalid("this cannot be looked at", fields={"folder": "the name of a folder: `branding…`"})
        if accent and not re.fullmatch("#[0-9a-fA-F]{6}", accent):
            raise errors.Invalid("this cannot be looked at", fields={"accent": "a colour as `#1f6f54`"})
        return self._read(folder or None, accent)

    def _signature(self) -> object:
        """What changes when a file does."""
        folder = self._folder / self._brand.settings.folder
        paths = [self._folder / settings.FILE_NAME, folder, *(sorted(folder.iterdir()) if folder.is_dir() else ())]
        return [(path, stat.st_mtime_ns, stat.st_size) for path in paths if path.exists() and (stat := path.stat())]

    def _read(self, folder: str | None, accent: str) -> Brand:
        faults: list[str] = []
        try:
            found = settings.section(BrandingSettings, settings.read(self._folder / settings.FILE_NAME), SECTION)
        except errors.EtabliError as error:
            faults.append(error.message)
            found = self._brand.settings
        place = self._folder / (folder or found.folder)
        colour = accent or found.accent
        chosen = colours.accent(colour) if colour else None
        return Brand(
            settings=found,
            accent=chosen,
            logo=_logo(place, faults),
            home={path.name.split(".")[1]: text for path in _texts(place) if (text := _text(path, faults))},
            faults=tuple(faults),
        )


def _texts(place: Path) -> list[Path]:
    return sorted(path for path in place.glob("home.*.md") if path.name.count(".") == 2) if place.is_dir() else []


def _text(path: Path, faults: list[str]) -> Text | None:
    try:
        written = _bytes(path, TEXT_BYTES).decode()
    except (OSError, ValueError):
        faults.append(f"`{path.name}` cannot be read: UTF-8 text of at most {TEXT_BYTES // 1000} kB")
        return None
    title, _, rest = written.strip().partition("\n")
    if title.startswith("# "):
        return Text(title=title.removeprefix("# ").strip(), body=markdown.html(rest))
    return Text(title="", body=markdown.html(written))


def _logo(place: Path, faults: list[str]) -> Logo | None:
    for name, media_type in LOGOS.items():
        path = place / name
        if not path.is_file():
            continue
        try:
            content = _bytes(path, LOGO_BYTES)
        except (OSError, ValueError):
            faults.append(f"`{name}` cannot be read: at most {LOGO_BYTES // 1000} kB")
            return None
        if problem := _svg_problem(content) if media_type == LOGOS["logo.svg"] else _png_problem(content):
            faults.append(f"`{name}` is not shown: {problem}")
            return None
        return Logo(content=content, media_type=media_type, digest=hashlib.sha256(content).hexdigest()[:16])
    return None


def _bytes(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError("too long")
    return content


def _png_problem(content: bytes) -> str:
    return "" if content.startswith(b"\x89PNG\r\n\x1a\n") else "it is no PNG picture"


def _svg_problem(content: bytes) -> str:
    """Why an SVG is more than a drawing; empty where it is one."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        return "it declares a document type"  # Entities can be made to fill the memory.
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError:
        return "it is no SVG picture"
    if _local(root.tag) != "svg":
        return "it is no SVG picture"
    for element in root.iter():
        if _local(element.tag) in REFUSED_ELEMENTS:
            return "it holds a script, or a page"
        for name, value in element.attrib.items():
            if _local(name).startswith("on") or "javascript:" in value.lower():
                return "it holds a script, or a page"
            if _local(name) in ("href", "src") and not value.startswith(("#", "data:image/png", "data:image/jpeg")):
                return "it loads something from elsewhere"
    return ""


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2].lower()
