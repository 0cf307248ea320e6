"""One running process of a component: started so that it outlives us, or found again and adopted.

Promises: there is no moment at which a component runs and is not recorded: it waits at a gate until its record is on the disk, and
ends by itself if we die before. It belongs to a session of its own, so that no terminal ends it.
"""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import asdict

from etabli.components import inner, journal, models
from etabli.kernel import files, processes
from etabli.kernel.processes import ProcessRef

RECORD = "process.json"
FINGERPRINT = "started-with"
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
# The gate: a line on standard input opens it, its end closes it for good. Same pid before and after `exec`.
_GATE = ("/bin/sh", "-c", 'read -r go || exit 1; exec "$@" </dev/null', "sh")


class Child:
    """A process that is, or was, a component's."""

    def __init__(self, ref: ProcessRef, *, popen: subprocess.Popen[bytes] | None = None, log_start: int = 0) -> None:
        self.ref = ref
        self.log_start = log_start  # Where in the log its own lines begin.
        self._popen = popen  # None for an adopted one: its exit code is its new parent's to know.
        self._ended = asyncio.Event()
        self._pidfd = processes.open_pidfd(ref)
        if self._pidfd is None:
            self._ended.set()
        else:
            asyncio.get_running_loop().add_reader(self._pidfd, self._on_end)

    @property
    def adopted(self) -> bool:
        """Whether somebody before us started it."""
        return self._popen is None

    @property
    def alive(self) -> bool:
        return not self._ended.is_set()

    @property
    def exit_code(self) -> int | None:
        """How it ended; negative for a signal, None where it cannot be known."""
        return None if self._popen is None else self._popen.poll()

    async def ended(self) -> None:
        """Wait for its end."""
        await self._ended.wait()

    async def stop(self, *, grace_seconds: float) -> None:
        """SIGTERM, then SIGKILL after the grace: a hung component must not block every stop."""
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.ended(), grace_seconds)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self.ended()

    def forget(self) -> None:
        """Let it live on without us."""
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        if self._popen is not None:
            self._popen.returncode = self._popen.poll() or 0  # Else Popen warns that it still runs, which is the point.

    def _signal(self, number: signal.Signals) -> None:
        if self._pidfd is not None:
            processes.send_signal(self.ref, number)

    def _on_end(self) -> None:
        assert self._pidfd is not None
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = None
        if self._popen is not None:
            self._popen.wait()  # A pidfd is readable once it can be reaped: this does not block.
        self._ended.set()


def start(component: models.Component, *, holder: ProcessRef | None) -> Child:
    """Start a component's process, in the network of `holder` where one is given. OSError where it cannot be."""
    files.private_folder(component.folder)
    (component.folder / FINGERPRINT).write_text(fingerprint(component))
    log_start = journal.size(component.log)
    popen = _spawn(component, component.argv if holder is None else inner.enter_argv(holder, component.argv))
    assert popen.stdin
    try:
        ref = processes.reference(popen.pid)
        processes.save(ref, component.folder / RECORD)
        popen.stdin.write(b"go\n")
    except BaseException:
        popen.kill()
        popen.wait()
        raise
    finally:
        popen.stdin.close()
    return Child(ref, popen=popen, log_start=log_start)


def find(component: models.Component) -> ProcessRef | None:
    """The component's process that somebody before us left running."""
    ref = processes.load(component.folder / RECORD)
    return ref if ref is not None and processes.is_alive(ref) else None


def is_current(component: models.Component) -> bool:
    """Whether what was started last is what would be started now."""
    try:
        return (component.folder / FINGERPRINT).read_text() == fingerprint(component)
    except FileNotFoundError:
        return False


def fingerprint(component: models.Component) -> str:
    """A digest of what a component is started with: version, arguments, environment, configuration files."""
    hashed = hashlib.sha256()
    described = asdict(component)
    relevant = {key: described[key] for key in ("argv", "env", "version", "inner")}
    relevant["argv"] = [word for word in component.argv if word not in component.places]
    hashed.update(json.dumps(relevant, sort_keys=True).encode())
    for path in component.files:
        hashed.update(path.read_bytes() if path.exists() else b"")
    return hashed.hexdigest()


def environment(component: models.Component) -> dict[str, str]:
    """The whole environment: nothing of ours leaks, and nothing is written outside the component's folder by habit."""
    folder = str(component.folder)
    homes = {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder, "XDG_CACHE_HOME": folder}
    return {"PATH": DEFAULT_PATH, "LANG": "C.UTF-8", **homes, **component.env}


def _spawn(component: models.Component, argv: Sequence[str]) -> subprocess.Popen[bytes]:
    log = journal.open_log(component.log)
    try:
        return subprocess.Popen(
            (*_GATE, *argv),
            cwd=component.folder,
            env=environment(component),
            stdin=subprocess.PIPE,
            bufsize=0,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=0o077,
        )
    finally:
        os.close(log)
