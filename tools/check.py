"""`make check`: formatting, lint, types, layers, and the rules of style that no other tool checks. Prints what is wrong, exits 1."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
BIN = TREE / ".venv/bin"
COMMANDS = (
    ("ruff", "format", "--check", "--no-cache", "."),
    ("ruff", "check", "--no-cache", "."),
    ("mypy", "--no-incremental", "--cache-dir=/dev/null"),
    ("lint-imports", "--no-cache"),
)
FILE_LINES = 500
FUNCTION_LINES_P90 = 40
FUNCTION_LINES_MEDIAN = 12
REFUSED_NAMES = frozenset({"utils.py", "helpers.py", "common.py", "misc.py"})
# FastAPI and Typer are for the shells: routers of a room, and the rooms `web` and `cli`.
SHELL_FILES = frozenset({"api.py", "pages.py", "commands.py"})
SHELL_ROOMS = frozenset({"web", "cli"})
DOTTED = re.compile(r"\w+(?:\.\w+)+")  # `patch("etabli.room.name")`, as unittest.mock and pytest's monkeypatch take it.
SHELL_LIBRARIES = frozenset({"fastapi", "starlette", "typer"})


def main() -> int:
    """Run every check; all of them, so that one run tells everything."""
    failed = [command[0] for command in COMMANDS if not _run(command)]
    problems = [problem for path in sorted((TREE / "src").rglob("*.py")) for problem in _source_problems(path)]
    problems += [problem for path in sorted((TREE / "tests").rglob("*.py")) for problem in _test_problems(path)]
    problems += _length_problems()
    for problem in problems:
        print(problem)
    if failed or problems:
        print(f"make check: {', '.join([*failed, *(['style'] if problems else [])])} failed")
        return 1
    print("make check: all is well")
    return 0


def _run(command: tuple[str, ...]) -> bool:
    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=TREE, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stdout, done.stderr, sep="")
    return done.returncode == 0


def _source_problems(path: Path) -> Iterator[str]:
    text = path.read_text()
    where = path.relative_to(TREE)
    if path.name in REFUSED_NAMES:
        yield f"{where}: name the idea, or put it beside its only caller"
    if text.count("\n") > FILE_LINES:
        yield f"{where}: {text.count(chr(10))} lines; past {FILE_LINES}, ask whether one idea became two"
    tree = ast.parse(text)
    if ast.get_docstring(tree) is None:
        yield f"{where}: a module opens with why it exists, what it promises, what it refuses"
    yield from _silent_excepts(tree, where)
    room = path.relative_to(TREE / "src/etabli").parts[0]
    if room not in SHELL_ROOMS and path.name not in SHELL_FILES:
        for library in _imported(tree) & SHELL_LIBRARIES:
            yield f"{where}: `{library}` is for api.py, pages.py and commands.py"
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None:
            yield f"{where}:{node.lineno}: `{node.name}` is public and says nothing of itself"


def _test_problems(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    where = path.relative_to(TREE)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in {"patch", "setattr"} and node.args and _is_dotted(node.args[0]):
            yield f"{where}:{node.lineno}: a seam that an argument cannot reach is a missing argument"


def _is_dotted(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and DOTTED.fullmatch(node.value) is not None


def _silent_excepts(tree: ast.Module, where: Path) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and all(isinstance(line, ast.Pass) for line in node.body):
            yield f"{where}:{node.lineno}: an error goes nowhere; `contextlib.suppress` with a comment, or handle it"


def _imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def _length_problems() -> list[str]:
    lengths = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in (TREE / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    if len(lengths) < 10:
        return []
    median, p90 = statistics.median(lengths), statistics.quantiles(lengths, n=10)[-1]
    if median > FUNCTION_LINES_MEDIAN or p90 > FUNCTION_LINES_P90:
        return [f"functions have a median of {median:.0f} lines and nine in ten under {p90:.0f}: split the longest"]
    return []


if __name__ == "__main__":
    sys.exit(main())
