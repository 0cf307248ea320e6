"""Fetches third-party scripts, so that what loads them needs neither another host nor a build step. Pages load none; tests do.

Each comes from the npm registry as the tarball of one pinned version, checked against the registry's own digest; what is kept is the
file that browsers load and its licence. `manifest.json` beside them records version, licence, source and SHA-256; a test compares.
Run it after changing a version below: `tools/vendor.py`, then read the diff.
"""

import argparse
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Package:
    """One npm package, and which of its files go where."""

    name: str
    version: str
    licence: str
    files: dict[str, str]  # Path in the tarball → file name here.
    folder: Path


TESTS = ROOT / "tests/web/vendor"

PACKAGES = (
    Package(
        name="axe-core",
        version="4.14.1",
        licence="MPL-2.0",
        files={"package/axe.min.js": "axe.min.js", "package/LICENSE": "axe.LICENSE"},
        folder=TESTS,
    ),
)


def main() -> None:
    """Fetch every package and write the manifests."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for folder in sorted({package.folder for package in PACKAGES}):
        folder.mkdir(parents=True, exist_ok=True)
        manifest = [fetch(package) for package in PACKAGES if package.folder == folder]
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def fetch(package: Package) -> dict[str, object]:
    """Write the package's files and answer its entry of the manifest."""
    with tempfile.TemporaryDirectory() as scratch:
        # npm verifies the tarball against the registry's integrity field.
        answer = subprocess.run(
            ["npm", "pack", "--json", f"{package.name}@{package.version}"],
            cwd=scratch,
            check=True,
            capture_output=True,
            text=True,
        )
        described = json.loads(answer.stdout)
        packed = described[0] if isinstance(described, list) else next(iter(described.values()))
        tarball = (Path(scratch) / packed["filename"]).read_bytes()
    hashes = {}
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        for inside, name in package.files.items():
            member = archive.extractfile(inside)
            if member is None:
                raise SystemExit(f"{package.name} {package.version} has no file {inside}")
            content = member.read()
            (package.folder / name).write_bytes(content)
            hashes[name] = hashlib.sha256(content).hexdigest()
    print(f"{package.name} {package.version}: {', '.join(hashes)}")
    return {
        "name": package.name,
        "version": package.version,
        "licence": package.licence,
        "integrity": packed["integrity"],
        "sha256": hashes,
    }


if __name__ == "__main__":
    main()
