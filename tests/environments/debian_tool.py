"""A stand-in for `mmdebstrap` that needs no network: it writes a tiny root as a tar archive, and tells what it was asked.

Tests of what happens around the tool use it (who waits, who is killed, what is left); `test_debian_base.py` makes a real base.
"""

import io
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

STATUS = """Package: git
Version: 1:2.47.3-0
Architecture: amd64

Package: python3.13-minimal
Version: {version}
Architecture: amd64
"""
SCRIPT = """#!/bin/sh
if [ "$1" = --unshare-helper ]; then shift; exec "$@"; fi
echo "$@" >> {told}
env >> {told}
cat >> {told}
mkdir "$TMPDIR/mmdebstrap.root"
echo "I: running apt-get update..." >&2
{before}
cat {archive}
"""


@dataclass
class Tool:
    """The stand-in, in a folder of its own for PATH."""

    folder: Path

    @property
    def path(self) -> str:
        return f"{self.folder}:/usr/bin:/bin"

    @property
    def scratch(self) -> Path:
        """Where it is to work: TMPDIR."""
        return self.folder / "scratch"

    def told(self) -> str:
        """Arguments, variables and standard input of every run."""
        target = self.folder / "told"
        return target.read_text() if target.exists() else ""

    def runs(self) -> int:
        return self.told().count("--variant=minbase")

    def without(self) -> str:
        """A PATH with all that the maker needs but the tool."""
        (self.folder / "without").mkdir()
        for name in ("bash", "tar", "env"):
            (self.folder / "without" / name).symlink_to(shutil.which(name) or name)
        return str(self.folder / "without")

    def give(self, *, before: str = "", version: str = "3.13.5-2") -> None:
        """What it does before it writes a root of packages with this version of Python."""
        archive = self.folder / "root.tar"
        with tarfile.open(archive, "w") as tar:
            for name, text in (
                ("./var/lib/dpkg/status", STATUS.format(version=version)),
                ("./etc/ssl/certs/ca-certificates.crt", "authorities\n"),
            ):
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
            device = tarfile.TarInfo("./dev/null")
            device.type = tarfile.CHRTYPE
            tar.addfile(device)
        script = self.folder / "mmdebstrap"
        script.write_text(SCRIPT.format(told=self.folder / "told", archive=archive, before=before))
        script.chmod(0o755)


def make_tool(folder: Path) -> Tool:
    """A stand-in in the new folder `folder`."""
    os.makedirs(folder / "scratch")
    tool = Tool(folder)
    tool.give()
    return tool
