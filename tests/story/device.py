"""A second device: a network namespace that reaches this machine through `pasta` as through a router, with a home of its own.

Made by an ordinary user, as the lab itself is. The machine answers at MACHINE there; names are given to each program, in place of DNS.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright

from tests import lab as labs

MACHINE, ADDRESS = "10.99.0.1", "10.99.0.2"
# Without IPv6, whose addresses come seconds later: a browser gives up what it loads when the network changes.
HOLDS = """
import os, sys
for name in "all", "default":
    open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w").write("1")
print(os.getpid(), flush=True)
sys.stdin.read()
"""
PASTA = (
    "--config-net",
    "-t",
    "none",
    "-u",
    "none",
    "-T",
    "none",
    "-U",
    "none",
    "--ipv4-only",
    "--quiet",
    "--foreground",
)


@dataclass(frozen=True)
class Device:
    """Another machine, as far as networks tell."""

    home: Path
    holder: int

    def command(self, *argv: str) -> tuple[str, ...]:
        """A command that runs there."""
        enter = ("nsenter", f"--target={self.holder}", "--user", "--net", "--preserve-credentials", "--")
        return (*enter, "env", f"HOME={self.home}", *argv)

    def trust(self, root: Path) -> None:
        """Import a root certificate where its browser keeps those that a person trusts (NSS)."""
        if shutil.which("certutil") is None:
            pytest.skip("no certutil (package libnss3-tools): nothing gives a browser a root certificate")
        store = self.home / ".pki/nssdb"
        store.mkdir(parents=True)
        for arguments in (("-N", "--empty-password"), ("-A", "-n", "the lab", "-t", "C,,", "-i", str(root))):
            subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True)

    @contextmanager
    def browser(self, playwright: Playwright, domain: str) -> Iterator[Browser]:
        """Chromium on the device."""
        script = self.home / "chromium"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(self.command(shutil.which("chromium") or "chromium"))} "$@"\n')
        script.chmod(0o700)
        names = f"--host-resolver-rules=MAP {domain} {MACHINE}, MAP *.{domain} {MACHINE}"
        browser = playwright.chromium.launch(executable_path=script, args=[*labs.CHROMIUM, names])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def device(home: Path) -> Iterator[Device]:
    """A device, switched off in the end."""
    namespace = ("unshare", "--user", "--map-root-user", "--net", "--", sys.executable, "-S", "-c", HOLDS)
    with subprocess.Popen(namespace, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        made = Device(home=home, holder=int(holder.stdout.readline()))
        up = home / "network"
        cable = ("pasta", *PASTA, "-a", ADDRESS, "-n", "24", "-g", MACHINE, "--pid", str(up), str(made.holder))
        with subprocess.Popen(cable) as network:
            try:
                _wait(up)
                yield made
            finally:
                network.terminate()
                holder.kill()


def _wait(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, "the device has no network"
        time.sleep(0.02)
