"""How the base `debian-13` is made: a whole Debian 13, by `mmdebstrap(1)`, without root rights, from this machine's own mirror.

`mmdebstrap --mode=unshare` unpacks and configures the packages in a user namespace with the lab's subordinate ids, and writes a tar
archive; `tar` unpacks it as the lab's user, so that every file of the base is the lab's: no device, no owner that only a namespace
knows. apt checks the signatures. Nothing of this machine stays in the base but its list of certificate authorities: no mirror, no
proxy, no credentials.

While it works, mmdebstrap needs a folder that the subordinate ids can reach, which the lab's private folders are not: one under
TMPDIR, whose name is written down first, so that whoever finds the pieces of a killed lab removes it too.
"""

import asyncio
import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from etabli.environments.indexes import Indexes
from etabli.kernel import errors, processes
from etabli.kernel.clock import Clock

NAME, SUITE = "debian-13", "trixie"
RECIPE = 1  # Raised when the same packages must give another base.
PYTHON = "/usr/bin/python3"
TOOL = "mmdebstrap"

# What people expect of a terminal, and what the built-in environments call. Compilers are not there: environments are wheels.
PACKAGES = "ca-certificates,curl,fonts-dejavu-core,git,less,locales,nano,netbase,openssh-client,procps,python3,tzdata,unzip,xz-utils"
LOCALES = ("en_US.UTF-8", "fr_FR.UTF-8")
LEFT_OUT = (  # 60 MB that no service reads: manuals, and messages in languages that the lab does not speak.
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/locale/*/LC_MESSAGES/*",
    "path-include=/usr/share/locale/fr/LC_MESSAGES/*",
)
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"  # Where Debian keeps the list of authorities, here and in the base.
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")  # Of the package `debian-archive-keyring`.
DPKG_STATUS = "var/lib/dpkg/status"

# Hooks of mmdebstrap: `$1` is the root being made.
MAKE_LOCALES = f'printf \'%s UTF-8\\n\' {" ".join(LOCALES)} > "$1/etc/locale.gen" && chroot "$1" locale-gen > /dev/null'
FORGET_THE_MACHINE = (
    'rm -rf "$1"/etc/apt/sources.list* "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap'
    ' "$1"/etc/hostname "$1"/etc/resolv.conf'
)

# `$0` is the empty root. A tar that fails ends mmdebstrap by SIGPIPE.
MAKE_AND_UNPACK = '"$@" | tar -x -C "$0" --no-same-owner --delay-directory-restore --exclude="./dev/*"'

SCRATCH_NOTE, PROCESS_FILE = "scratch", "maker.json"  # In the folder of a build.
SCRATCH_MODE = 0o711  # To be passed through by the subordinate ids, and listed by nobody.
GRACE = timedelta(seconds=20)  # For killed processes to be gone.
LOOK_EVERY = timedelta(milliseconds=50)


@dataclass(frozen=True)
class Mirror:
    """Where packages come from: an address of Debian's archive, and of its security updates."""

    main: str
    security: str | None

    def sources(self) -> str:
        """In apt's one-line format (sources.list(5)), for Debian 13."""
        lines = [f"deb {self.main} {suite} main\n" for suite in (SUITE, f"{SUITE}-updates")]
        return "".join(lines) + (f"deb {self.security} {SUITE}-security main\n" if self.security else "")


class Maker:
    """Makes bases on this machine."""

    def __init__(self, *, environ: Mapping[str, str], indexes: Indexes, mirror: Mirror | None, clock: Clock) -> None:
        self._environ, self._indexes, self._mirror, self._clock = environ, indexes, mirror, clock

    async def make(self, folder: Path, *, root: Path, log: Path) -> int:
        """Unpack a Debian 13 into the empty `root`; the exit code. `folder` is the build's.

        Unavailable where the tool is missing.
        """
        tool = self._tool()
        scratch = _make_scratch(Path(self._environ.get("TMPDIR") or "/tmp"), note=folder / SCRATCH_NOTE)
        try:
            return await self._run(self._command(tool, scratch), folder, root=root, log=log, scratch=scratch)
        finally:
            await asyncio.shield(asyncio.create_task(self.end(folder)))

    async def end(self, folder: Path) -> None:
        """End what makes a base for the build in `folder`, and remove what it made outside. None there is success."""
        maker = processes.load(folder / PROCESS_FILE)
        if maker is not None and processes.is_alive(maker):
            await self._end_group(maker)
        with suppress(FileNotFoundError):
            scratch = Path((folder / SCRATCH_NOTE).read_text())
            await asyncio.to_thread(_remove_scratch, scratch, shutil.which(TOOL, path=self._environ.get("PATH")))

    def _tool(self) -> str:
        found = shutil.which(TOOL, path=self._environ.get("PATH"))
        if found is None:
            raise errors.Unavailable(
                f"the base `{NAME}` is made by `{TOOL}`, which this machine does not have",
                hint=f'`apt-get install {TOOL} debian-archive-keyring`, or `base = "host"` in `[environments]`',
            )
        return found

    def _command(self, tool: str, scratch: Path) -> tuple[str, ...]:
        options = [f"--include={PACKAGES}", *(f"--dpkgopt={option}" for option in LEFT_OUT)]
        options += ['--aptopt=Acquire::Languages "none"', '--aptopt=Acquire::Retries "3"']
        if KEYRING.is_file():  # Another distribution's apt does not trust Debian by itself.
            options.append(f"--keyring={KEYRING}")
        hooks = [MAKE_LOCALES, FORGET_THE_MACHINE]
        if trusted := _authorities(self._indexes.ca):
            # A copy: what the administrator names may lie where the subordinate ids cannot look.
            copy = scratch / "authorities.pem"
            copy.write_text(trusted)
            copy.chmod(0o644)
            options.append(f'--aptopt=Acquire::https::CAInfo "{copy}"')
            hooks.append(f'cp "{copy}" "$1/{AUTHORITIES}"')
        options += [f"--customize-hook={hook}" for hook in hooks]
        sources = ("-",) if self._mirror else ()
        fixed = ("--mode=unshare", "--variant=minbase", "--format=tar", *options, SUITE, "-", *sources)
        return tool, *fixed

    async def _run(self, command: tuple[str, ...], folder: Path, *, root: Path, log: Path, scratch: Path) -> int:
        variables = {**proxies(self._indexes), "PATH": self._environ.get("PATH", os.defpath), "TMPDIR": str(scratch)}
        variables |= {"LANG": "C.UTF-8", "HOME": str(scratch)}
        with log.open("ab") as output:
            maker = await asyncio.create_subprocess_exec(
                *("bash", "-o", "pipefail", "-c", MAKE_AND_UNPACK, str(root), *command),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=variables,
                start_new_session=True,  # One group, which `end` ends as one.
            )
        with suppress(ProcessLookupError):
            processes.save(processes.reference(maker.pid), folder / PROCESS_FILE)
        await maker.communicate(self._mirror.sources().encode() if self._mirror else b"")
        return await maker.wait()

    async def _end_group(self, leader: processes.ProcessRef) -> None:
        """What runs with a subordinate id is ours to signal too, since we own its user namespace."""
        deadline = self._clock.monotonic() + GRACE.total_seconds()
        with suppress(ProcessLookupError):
            while self._clock.monotonic() < deadline:
                os.killpg(leader.pid, signal.SIGKILL)
                await self._clock.sleep(LOOK_EVERY)


def find_mirror(*, apt: Path = Path("/etc/apt"), release: Path = Path("/etc/os-release")) -> Mirror | None:
    """The mirror that this machine's own apt uses, where it is a Debian; None is the tool's own default."""
    known = dict(line.partition("=")[::2] for line in _text(release).splitlines())
    codename = known.get("VERSION_CODENAME", "").strip('"')
    if known.get("ID", "").strip('"') != "debian" or not codename:
        return None
    found = [(address, suite) for address, suite in _entries(apt) if address.startswith(("http://", "https://"))]
    # Others than Debian name their suites alike: its archive's address ends in `/debian` wherever it is mirrored.
    ours = [address for address, suite in found if suite == codename and address.rstrip("/").endswith("/debian")]
    security = [address for address, suite in found if suite == f"{codename}-security"]
    return Mirror(main=ours[0], security=next(iter(security), None)) if ours else None


def proxies(indexes: Indexes) -> dict[str, str]:
    """The proxies of the machine: in variables, since a command line is for all to read."""
    return {name: value for name, value in (indexes.proxies or {}).items() if name.islower()}


def packages(root: Path) -> tuple[str, ...]:
    """What is installed in a root: `name version architecture`, sorted."""
    found = []
    for paragraph in (root / DPKG_STATUS).read_text().split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture): (.*)$", paragraph, re.MULTILINE))
        if "Package" in fields:
            found.append(f"{fields['Package']} {fields['Version']} {fields['Architecture']}")
    return tuple(sorted(found))


def python_version(installed: tuple[str, ...]) -> str:
    """The version of a root's `python3`. Unavailable where there is none: the mirror gave something else."""
    for line in installed:
        if match := re.match(r"python3\.\d+-minimal (\d+\.\d+\.\d+)", line):
            return match[1]
    raise errors.Unavailable(f"the mirror gave a `{NAME}` without Python", hint="the build's log tells more")


def _authorities(ca: Path | None) -> str:
    """The authorities that this machine trusts, those that its administrator named included; empty for Debian's own list."""
    system = Path("/", AUTHORITIES)
    return "".join(_text(path) for path in dict.fromkeys((system, ca or system)))


def _entries(apt: Path) -> Iterator[tuple[str, str]]:
    """Address and suite of every source of packages whose component is `main` (sources.list(5))."""
    for path in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))):
        for line in _text(path).splitlines():
            match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)", line.strip())
            if match and "main" in match[3].split():
                yield match[1], match[2]
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        for paragraph in re.split(r"\n\s*\n", _text(path)):
            fields = dict(re.findall(r"^([\w-]+):\s*(.*)$", paragraph, re.MULTILINE))
            if "main" in fields.get("Components", "").split() and fields.get("Enabled", "yes") != "no":
                for address in fields.get("URIs", "").split():
                    yield from ((address, suite) for suite in fields.get("Suites", "").split())


def _make_scratch(parent: Path, *, note: Path) -> Path:
    scratch = parent / f"etabli-base-{secrets.token_hex(8)}"
    note.write_text(str(scratch))
    scratch.mkdir()
    scratch.chmod(SCRATCH_MODE)
    return scratch


def _remove_scratch(scratch: Path, tool: str | None) -> None:
    """The folder is the lab's; a root in it belongs to subordinate ids, which only a user namespace lets us be."""
    if not scratch.is_dir():
        return
    foreign = [str(entry) for entry in scratch.iterdir() if entry.lstat().st_uid != os.getuid()]
    if tool is not None and foreign:
        helper = [tool, "--unshare-helper", "find", *foreign, "-mindepth", "1", "-delete"]
        subprocess.run(helper, stdin=subprocess.DEVNULL, capture_output=True, cwd="/", timeout=120, check=False)
    # What cannot be removed lies in the machine's folder for temporary files, and goes as they do.
    shutil.rmtree(scratch, ignore_errors=True)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
