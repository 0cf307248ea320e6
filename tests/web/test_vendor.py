"""Third-party scripts are those that the manifest names, byte for byte, each with its licence."""

import hashlib
import json
from pathlib import Path

FOLDER = Path(__file__).parent / "vendor"


def test_vendored_files_are_what_their_manifest_says() -> None:
    packages = json.loads((FOLDER / "manifest.json").read_text())
    declared = {name: digest for package in packages for name, digest in package["sha256"].items()}
    there = {path.name for path in FOLDER.iterdir()} - {"manifest.json"}
    assert there == set(declared)
    for name, digest in declared.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest
    for package in packages:
        assert package["licence"]
        assert package["version"]
        assert any(name.endswith("LICENSE") for name in package["sha256"])
