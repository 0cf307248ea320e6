"""Which labs this account of this machine is signed in to, each with its token: one 0600 file in the person's own folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from etabli.kernel import errors, files

FILE = "labs.json"


@dataclass(frozen=True)
class Stored:
    """What the file holds: a token a lab, by its origin, and the lab that commands mean where they name none."""

    default: str | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)


class Store:
    """The file, under `~/.config` or where XDG_CONFIG_HOME says (XDG Base Directory Specification)."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        home = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home()) / ".config"
        self.path = Path(home) / "etabli" / FILE

    def read(self) -> Stored:
        """What is stored; nothing where there is no file. Invalid where it is not ours."""
        try:
            content = json.loads(self.path.read_text())
            default, tokens = content["default"], content["tokens"]
            return Stored(
                default=default and str(default), tokens={str(lab): str(token) for lab, token in tokens.items()}
            )
        except FileNotFoundError:
            return Stored()
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise errors.Invalid(
                f"`{self.path}` cannot be read", hint="move it away, then `etabli login` again"
            ) from error

    def keep(self, lab: str, token: str) -> None:
        """Remember a lab's token; commands mean this lab from now on."""
        stored = self.read()
        self._write(Stored(default=lab, tokens={**stored.tokens, lab: token}))

    def forget(self, lab: str) -> None:
        """Remember a lab no more. Not knowing it is well."""
        stored = self.read()
        tokens = {origin: token for origin, token in stored.tokens.items() if origin != lab}
        self._write(
            Stored(default=next(iter(tokens), None) if stored.default == lab else stored.default, tokens=tokens)
        )

    def _write(self, stored: Stored) -> None:
        files.private_folder(self.path.parent)
        content = {"default": stored.default, "tokens": dict(stored.tokens)}
        files.write_atomically(self.path, json.dumps(content, indent=2) + "\n")
