"""The guides of docs/, as pages of the lab: rendered when asked for, in the reader's language where they are written in it."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from etabli.kernel import errors

# Address under /help/ → the file under docs/ in each language; English is always there.
GUIDES: Mapping[str, Mapping[str, str]] = {
    "user": {"en": "user/README.md", "fr": "fr/utilisateur/README.md"},
    "administrator": {"en": "administrator/README.md"},
    "settings": {"en": "administrator/settings.md"},
    "commands": {"en": "administrator/commands.md"},
    "author": {"en": "author/README.md"},
    "manifests": {"en": "author/manifests.md"},
    "environments": {"en": "author/environments.md"},
}
PAGES = {path: guide for guide, paths in GUIDES.items() for path in paths.values()}
PICTURE = re.compile(
    r"!\[[^\]]*\]\([^)]*\)"
)  # The guides' pictures show these very pages: they are for who reads elsewhere.
TO_PICTURE = re.compile(r"\[([^\]]*)\]\([^)]*\.png\)")
LINK = re.compile(r'href="([^"]+)"')


@dataclass(frozen=True)
class Guide:
    """One guide, ready to be shown."""

    title: str
    language: str  # That it is written in.
    body: Markup
    sections: tuple[tuple[str, str], ...]  # `#anchor` and text of each heading of the second level.


class Guides:
    """The guides in one folder. Few read them at once: nothing is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, *, language: str) -> Guide:
        """A guide, in this language or in English. NotFound where there is none by that name."""
        paths = GUIDES.get(name)
        if paths is None:
            raise errors.NotFound("there is no such page")
        written = language if language in paths else "en"
        try:
            text = (self._folder / paths[written]).read_text()
        except FileNotFoundError as error:
            raise errors.NotFound("this lab came without its guides") from error
        return _guide(text, path=paths[written], language=written)


def _guide(text: str, *, path: str, language: str) -> Guide:
    # Heavy, and few pages need it: an idle lab does without.
    from markdown_it import MarkdownIt  # noqa: PLC0415 - As above.

    title, _, rest = text.strip().partition("\n")
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table"]).disable("image")
    tokens = parser.parse(TO_PICTURE.sub(r"\1", PICTURE.sub("", rest)))
    sections: list[tuple[str, str]] = []
    for token, inner in itertools.pairwise(tokens):
        if token.type == "heading_open":
            anchor = _anchor(inner.content)
            token.attrSet("id", anchor)
            if token.tag == "h2":
                sections.append((f"#{anchor}", inner.content.replace("`", "")))
    html = parser.renderer.render(tokens, parser.options, {})
    html = html.replace("<table>", '<div class="table" tabindex="0"><table>').replace("</table>", "</table></div>")
    html = html.replace("<th></th>", "<td></td>")  # A corner that heads nothing.
    html = html.replace("<pre>", '<pre tabindex="0">')
    linked = LINK.sub(lambda found: f'href="{_address(found[1], path=path)}"', html)
    return Guide(
        title=title.removeprefix("# ").strip(), language=language, body=Markup(linked), sections=tuple(sections)
    )


def _anchor(heading: str) -> str:
    """As forges make it: lower case, punctuation gone, spaces as dashes (tests/docs compares links with it)."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _address(target: str, *, path: str) -> str:
    """Where a link of a guide leads here: other guides are pages of the lab; what is not is where the sources are read."""
    if "://" in target or target.startswith(("#", "mailto:")):
        return target
    name, _, anchor = target.partition("#")
    parts: list[str] = []
    for part in (*Path(path).parent.parts, *Path(name).parts):
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    guide = PAGES.get("/".join(parts))
    return f"/help/{guide}" + (f"#{anchor}" if anchor else "") if guide else "/help"
