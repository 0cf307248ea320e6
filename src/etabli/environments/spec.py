"""Reading an environment: a folder of the files that Binder's repo2docker made a convention.

Honoured: `requirements.txt` (with `excludes.txt`: packages that others ask for and that are left out), or `pyproject.toml` with its
`uv.lock`; `requirements.lock` (exact versions and hashes, written by `etabli environments lock`); `runtime.txt`; `postBuild`; `files/`
(copied into the tree; `files/lib/python3/` stands for the tree's own `lib/python3.N/`); and a file of ours that Binder passes over,
`base`. Everything else is refused by name, so that nobody waits for what will not come. Links and special files are refused: a
folder may come from anyone's repository.
"""

import hashlib
import re
import stat
from pathlib import Path

from etabli.environments import models
from etabli.kernel import errors

NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,39}")
LOCK_NAME = "requirements.lock"
LOCK_MARK = "# inputs: "  # The first line of a lock: what it was resolved from.
MAX_FILE_BYTES = 8 << 20  # One file of a specification. Data belongs in S3, not in an environment.
MAX_FOLDER_BYTES = 64 << 20

NOT_YET = {  # Files of the convention that this version does not honour.
    "apt.txt": "system packages (`apt.txt`)",
    "package.json": "Node packages (`package.json`)",
    "install.R": "R packages (`install.R`)",
    "start": "a start script (`start`)",
    "environment.yml": "conda environments (`environment.yml`)",
    "Project.toml": "Julia packages (`Project.toml`)",
    "DESCRIPTION": "R packages (`DESCRIPTION`)",
    "Pipfile": "Pipenv (`Pipfile`)",
    "setup.py": "a package to build (`setup.py`)",
    "default.nix": "Nix (`default.nix`)",
    "Dockerfile": "container files (`Dockerfile`)",
}
HONOURED = (
    "requirements.txt",
    "excludes.txt",
    "requirements.lock",
    "pyproject.toml",
    "uv.lock",
    "runtime.txt",
    "base",
    "postBuild",
)
DOCUMENTS = re.compile(r"(?i)(readme|licen[cs]e|changelog)(\..*)?|\..*")  # Read by people, or by git.

# A lock's lines: a package at one version or address, a hash, a comment. An option or a local folder could run code where the cache of
# packages is writable.
LOCK_LINE = re.compile(
    r"(?:#.*|[A-Za-z0-9][\w.-]*(?:\[[\w.,\s-]*\])?(?:==[\w.!+-]+| @ https?://\S+)(?:\s*;.*?)?|--hash=sha(?:256|384|512):[0-9a-f]+)?\s*\\?"
)

BASES = ("host", "debian-13")
RUNTIME = re.compile(r"python-(3\.\d{1,2})(?:\.\d{1,3})?")


def check_name(name: str) -> str:
    """`name` if an environment may be called so, else NotFound: names reach paths."""
    if NAME.fullmatch(name) and len(name) <= 40:
        return name
    raise errors.NotFound(f"no environment `{name[:60]}`", hint="`etabli environments list` names those there are")


def read(folder: Path) -> models.Spec:
    """The environment in `folder`, named after it. Invalid names each file that is not honoured, and why."""
    name = check_name(folder.name)
    _check_entries(folder)
    requirements, pyproject = _text(folder, "requirements.txt"), _text(folder, "pyproject.toml")
    project = _project(pyproject, _text(folder, "uv.lock"), requirements=requirements)
    if requirements is None and project is None:
        raise _invalid(
            "requirements.txt", f"the environment `{name}` has neither `requirements.txt` nor `pyproject.toml`"
        )
    if requirements is not None:
        _check_requirements(requirements)
    excludes, runtime = _text(folder, "excludes.txt"), _text(folder, "runtime.txt")
    _check_requirements(excludes or "", name="excludes.txt")
    inputs = _digest(requirements, excludes, *(project or ()), runtime)
    return models.Spec(
        name=name,
        folder=folder,
        requirements=requirements,
        excludes=excludes or "",
        project=project,
        lock=_lock(_text(folder, "requirements.lock"), inputs),
        python=_python(runtime),
        base=_base(_text(folder, "base")),
        post_build=_bytes(folder / "postBuild"),
        files=_copied(folder / "files"),
        inputs=inputs,
    )


def signature(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """What tells, without reading them, that files of an environment changed: path, date, size and mode of each."""
    found = [(str(path), path.lstat()) for path in sorted(folder.rglob("*"))]
    return tuple((path, info.st_mtime_ns, info.st_size, info.st_mode) for path, info in found)


def mark(lock: str, inputs: str) -> str:
    """A lock's text, marked with what it was resolved from."""
    return f"{LOCK_MARK}{inputs}\n{lock}"


def check_lock(text: str) -> str:
    """`text` if each of its lines may be installed without running anything; else Invalid naming the line."""
    for number, line in enumerate(text.splitlines(), start=1):
        if LOCK_LINE.fullmatch(line.strip()) is None:
            raise _invalid(
                f"{LOCK_NAME}:{number}",
                f"line {number} of the lock (`{line.strip()[:60]}`) is not a package with a version and hashes",
            )
    return text


def _check_entries(folder: Path) -> None:
    fields = {}
    for entry in sorted(folder.iterdir()):
        kind = entry.lstat().st_mode
        if entry.name in NOT_YET:
            fields[entry.name] = f"{NOT_YET[entry.name]} cannot be installed yet"
        elif entry.name == "files":
            if not stat.S_ISDIR(kind):
                fields[entry.name] = "it must be a folder"
        elif entry.name in HONOURED:
            if not stat.S_ISREG(kind):
                fields[entry.name] = "it must be a plain file, not a link or a folder"
        elif not DOCUMENTS.fullmatch(entry.name):
            fields[entry.name] = f"it is none of {', '.join(f'`{known}`' for known in HONOURED)} or `files`"
    if fields:
        listed = "; ".join(f"`{name[:60]}`: {text}" for name, text in fields.items())
        raise errors.Invalid(
            f"the environment `{folder.name}` holds what is not honoured: {listed}",
            hint="remove these files, or do in `postBuild` what they ask for",
            fields=fields,
        )


def _project(pyproject: str | None, lock: str | None, *, requirements: str | None) -> tuple[str, str] | None:
    if pyproject is None:
        if lock is not None:
            raise _invalid("uv.lock", "`uv.lock` belongs to a `pyproject.toml`, and there is none")
        return None
    if requirements is not None:
        raise _invalid("pyproject.toml", "`requirements.txt` and `pyproject.toml` both say what to install")
    if lock is None:
        raise _invalid("uv.lock", "`pyproject.toml` has no `uv.lock`: run `uv lock` in this folder")
    return pyproject, lock


def _check_requirements(text: str, *, name: str = "requirements.txt") -> None:
    """Options and code to build are refused: an environment is wheels, from the indexes that the machine sets."""
    for number, line in enumerate(text.splitlines(), start=1):
        item = line.split("#")[0].strip() if "://" not in line else line.strip()
        field = f"{name}:{number}"
        if item.startswith("-"):
            raise _invalid(field, f"line {number} is an option (`{item.split()[0][:30]}`): only packages can be listed")
        if re.search(r"(?:^|@\s*)(?:git|hg|svn|bzr)\+", item):
            raise _invalid(field, f"line {number} is code to build: only wheels are installed; build it in `postBuild`")
        if item.startswith((".", "/", "~")) or re.search(r"@\s*file:", item):
            raise _invalid(field, f"line {number} names a file of this machine: it is not seen by builds")


def _lock(text: str | None, inputs: str) -> str | None:
    """The lock if it was resolved from these inputs; a stale one counts as none, and is resolved again."""
    if text is None or text.partition("\n")[0] != f"{LOCK_MARK}{inputs}":
        return None
    return text


def _python(runtime: str | None) -> str | None:
    if runtime is None:
        return None
    match = RUNTIME.fullmatch(runtime.strip())
    if match is None:
        raise _invalid("runtime.txt", f"`{runtime.strip()[:40]}` is not understood: write `python-3.12`")
    return match[1]


def _base(text: str | None) -> str | None:
    if text is None:
        return None
    if text.strip() not in BASES:
        raise _invalid(
            "base", f"the base `{text.strip()[:40]}` is not known: write {' or '.join(f'`{name}`' for name in BASES)}"
        )
    return text.strip()


def _copied(root: Path) -> tuple[models.CopiedFile, ...]:
    """Every file under `files/`, sorted."""
    if not root.exists():
        return ()
    copied = []
    for path in sorted(root.rglob("*")):
        kind = path.lstat().st_mode
        relative = path.relative_to(root).as_posix()
        if stat.S_ISDIR(kind) or "__pycache__" in path.parts:
            continue
        if not stat.S_ISREG(kind):
            raise _invalid(f"files/{relative}", f"`files/{relative}` is a link or a special file")
        content = _bytes(path) or b""
        copied.append(models.CopiedFile(path=relative, content=content, executable=bool(kind & stat.S_IXUSR)))
    if sum(len(file.content) for file in copied) > MAX_FOLDER_BYTES:
        raise _invalid("files", "`files` holds more than 64 MiB: data belongs in S3")
    return tuple(copied)


def _text(folder: Path, name: str) -> str | None:
    content = _bytes(folder / name)
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _invalid(name, f"`{name}` is not UTF-8 text") from error


def _bytes(path: Path) -> bytes | None:
    try:
        size = path.lstat().st_size
    except FileNotFoundError:
        return None
    if size > MAX_FILE_BYTES:
        raise _invalid(path.name, f"`{path.name}` is larger than 8 MiB: data belongs in S3")
    return path.read_bytes()


def _digest(*parts: str | None) -> str:
    total = hashlib.sha256()
    for part in parts:
        data = b"-" if part is None else f"{len(part)}:{part}".encode()
        total.update(data)
    return total.hexdigest()


def _invalid(field: str, message: str) -> errors.Invalid:
    return errors.Invalid(
        message, hint="docs/author/environments.md lists what an environment may hold", fields={field: message}
    )
