"""Keeps the catalogues of messages: what pages and errors say, gathered from the sources, with what each language says of it.

Templates and the web's Python name their messages by gettext's calls. The other rooms raise errors in plain English: the sentence
and the hint given to an error, and the texts of its `fields`, are messages too, with `{}` for each value. `tools/messages.py` writes
what is new into each catalogue, empty, and drops what is gone; with `--check` it says what is missing, and fails.
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages import pofile
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src/etabli"
FOLDER = SOURCES / "web/messages"
# Rooms whose errors people meet in pages; the others speak to the operator.
ROOMS = (
    "admin",
    "catalog",
    "door",
    "engines",
    "environments",
    "identity",
    "kernel",
    "leaving",
    "mail",
    "services",
    "web",
)
METHODS = [("**/templates/**.html", "jinja2"), ("**/templates/**.txt", "jinja2"), ("**.py", "python")]
# Not silent: a template that the extractor cannot read would lose all its messages.
READ_AS = {"trimmed": "true", "newstyle_gettext": "true", "extensions": "jinja2.ext.do", "silent": "false"}
OPTIONS = {method: READ_AS for method, kind in METHODS if kind == "jinja2"}
# Functions and variables that make sentences which reach people by another way than an error's own text.
MARK = "N_"
MADE = datetime(2026, 11, 24, tzinfo=UTC)  # Kept still: a catalogue changes when its messages do.


def main() -> None:
    """Update the catalogues, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a message has no translation")
    check = parser.parse_args().check
    found = gather()
    problems = [problem for path in sorted(FOLDER.glob("*.po")) for problem in keep(path, found, write=not check)]
    print("\n".join(problems) or "every message is translated")
    if check and problems:
        sys.exit("run tools/messages.py, then give each its translation in src/etabli/web/messages/")


def gather() -> Catalog:
    """Every message of the sources, with where it is."""
    catalog = Catalog(project="etabli", charset="utf-8", fuzzy=False)
    for name, line, message, _comments, _context in extract_from_dir(
        SOURCES / "web", METHODS, options_map=OPTIONS, keywords={"_": None, "gettext": None, "ngettext": (1, 2)}
    ):
        if message and not name.startswith("static"):
            catalog.add(message, locations=[(f"web/{name}", line)])
    for room in ROOMS:
        for path in sorted((SOURCES / room).rglob("*.py")):
            for line, text in raised(ast.parse(path.read_text())):
                catalog.add(text, locations=[(str(path.relative_to(SOURCES)), line)])
    return catalog


def raised(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The sentences given to errors: the first argument, `hint`, the texts of `fields`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if _name(node.func) == MARK:
            yield from _texts(node.args[0])
        elif _is_error(node):
            for part in (*node.args[:1], *(word.value for word in node.keywords if word.arg in ("hint", "message"))):
                yield from _texts(part)
            for word in node.keywords:
                if word.arg == "fields" and isinstance(word.value, ast.Dict):
                    for part in word.value.values:
                        yield from _texts(part)


def keep(path: Path, found: Catalog, *, write: bool) -> list[str]:
    """Bring one catalogue up to date; what has no translation."""
    with path.open("rb") as file:
        catalog = pofile.read_po(file, locale=path.stem)
    catalog.update(found, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    catalog.creation_date = catalog.revision_date = MADE
    if write:
        with path.open("wb") as file:
            pofile.write_po(file, catalog, width=120, sort_output=True, no_location=False, include_lineno=False)
    return [f"{path.name}: {message.id!r}" for message in catalog if message.id and not _is_whole(message.string)]


def _is_whole(text: object) -> bool:
    return all(text) if isinstance(text, tuple | list) else bool(text)


def _is_error(call: ast.Call) -> bool:
    name = _name(call.func)
    return name == "__init__" or name in _ERRORS


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _texts(node: ast.expr) -> Iterator[tuple[int, str]]:
    """The texts that an expression may be, `{}` in place of each value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
        yield node.lineno, node.value
    elif isinstance(node, ast.JoinedStr):
        text = "".join(
            str(part.value).replace("{", "{{") if isinstance(part, ast.Constant) else "{}" for part in node.values
        )
        if any(letter.isalpha() for letter in text.replace("{}", "")):
            yield node.lineno, text
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.BinOp):
        return


def _error_names() -> frozenset[str]:
    """Classes that are errors of ours, by their names and bases."""
    bases: dict[str, set[str]] = {}
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases.setdefault(node.name, set()).update(_name(base) for base in node.bases)
    known = {"EtabliError"}
    while more := {name for name, parents in bases.items() if parents & known} - known:
        known |= more
    return frozenset(known)


_ERRORS = _error_names()

if __name__ == "__main__":
    main()
