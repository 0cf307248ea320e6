"""The documentation cannot drift: made pages are those of this code, links lead somewhere, pictures are there and small."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from tools import reference

TREE = reference.TREE
PAGES = sorted([*TREE.glob("*.md"), *TREE.glob("docs/**/*.md"), *TREE.glob("environments/*/*.md")])
PICTURES_BYTES = 2_000_000
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_SRC = re.compile(r'(?:src|href)="([^"]+)"')
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


@pytest.mark.parametrize("page", sorted(reference.pages()), ids=lambda path: path.name)
def test_a_page_made_from_the_code_is_the_codes_own(page: Path) -> None:
    assert page.read_text() == reference.pages()[page], "run `make docs`, then commit what it wrote"


def test_every_setting_says_what_it_means() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", reference.settings_page(), re.MULTILINE)
    assert len(rows) > 50
    assert [key for key, meaning in rows if not meaning.strip()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(TREE)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert [target for target in _targets(page) if not _exists(page, target)] == []


def test_pictures_are_small_and_each_is_shown() -> None:
    pictures = sorted((TREE / "docs/pictures").glob("*.png"))
    named = {(page.parent / target).resolve() for page in PAGES for target in _targets(page) if target.endswith(".png")}
    assert pictures
    assert sum(picture.stat().st_size for picture in pictures) < PICTURES_BYTES
    assert [picture.name for picture in pictures if picture not in named] == []


def _targets(page: Path) -> Iterator[str]:
    """Where the links and pictures of a page lead, inside the tree."""
    text = _CODE.sub("", page.read_text())
    for target in (*_LINK.findall(text), *_SRC.findall(text)):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


def _exists(page: Path, target: str) -> bool:
    """Whether the file is there, and the heading in it."""
    name, _, anchor = unquote(target).partition("#")
    file = page.parent / name if name else page
    if not file.exists():
        return False
    return not anchor or anchor in {_anchor(heading) for heading in _HEADING.findall(file.read_text())}


def _anchor(heading: str) -> str:
    """As forges make it: lower case, punctuation gone, spaces as dashes."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
