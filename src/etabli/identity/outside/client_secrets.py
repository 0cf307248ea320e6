"""The lab's secrets at its providers: in files that their owner alone reads, or in variables; never in the settings themselves."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from etabli.identity.outside.settings import ProviderSettings

LONGEST_SECRET = 1000  # Characters.


def problem(path: Path) -> str | None:
    """Why the file holds no secret that may be used; None where it does."""
    try:
        mode, text = path.stat().st_mode, path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return f"`{path}` cannot be read: put the lab's secret there, for the lab's user alone"
    if mode & 0o077:
        return f"`{path}` can be read by others: chmod 600 {path}"
    return None if 0 < len(text) <= LONGEST_SECRET else f"`{path}` holds no secret: put the lab's secret there, alone"


def problems(providers: Iterable[ProviderSettings], environ: Mapping[str, str]) -> list[str]:
    """What is wrong with the secrets that the settings name, each a sentence; for whoever starts the lab."""
    found: list[str] = []
    for one in providers:
        if one.client_secret_file is not None and (wrong := problem(one.client_secret_file)):
            found.append(wrong)
        if one.client_secret_env and not environ.get(one.client_secret_env):
            found.append(f"the variable `{one.client_secret_env}` is not set: set it where `etabli up` is run")
    return found
