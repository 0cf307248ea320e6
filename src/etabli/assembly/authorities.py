"""Which certificate authorities a service trusts: the machine's, the administrator's own, and the lab's where no public one signs it.

Nothing is given where the lists that come with every tool are enough: a lab on plain HTTP, or one with public certificates, on a
machine whose administrator named no authority.
"""

from dataclasses import dataclass
from pathlib import Path

from etabli.components import caddy
from etabli.components.settings import FrontDoorSettings
from etabli.environments.indexes import CA_READERS, SEEN_INSIDE
from etabli.kernel import errors, settings
from etabli.services import ports

# Where distributions keep the list of public authorities: Debian and its kin, Fedora and its kin.
SYSTEM = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))


@dataclass(frozen=True)
class Trust:
    """Of one lab. `administrators` is the list that its administrator named (`SSL_CERT_FILE`, pip's `cert`…)."""

    layout: settings.Layout
    lab: settings.LabSettings
    door: FrontDoorSettings
    administrators: Path | None

    def read(self) -> ports.Authorities:
        """What services trust now. Unavailable while the lab's own authority is being made.

        Tools read one list in place of their own, so that ours holds the public authorities too.
        """
        public = next((path for path in SYSTEM if path.is_file()), None)
        signs = self._signs()
        if signs is None and self.administrators is None:
            return ports.Authorities()
        if signs is None and str(self.administrators).startswith(SEEN_INSIDE):
            return ports.Authorities(variables=CA_READERS, system=str(self.administrators))
        lists = dict.fromkeys(path for path in (public, self.administrators, signs) if path is not None)
        return ports.Authorities(
            pem="\n".join(map(_read, lists)), variables=CA_READERS, system=str(public.resolve()) if public else ""
        )

    def _signs(self) -> Path | None:
        """Who signs the lab's certificates, where that may be nobody that tools know."""
        if not self.lab.https:
            return None
        if self.door.own_authority:
            return caddy.root_certificate(self.layout)
        # An institution's authority, or nobody's: what signs is at the end of its chain.
        return self.door.certificate if self.door.certificates == "files" else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip() + "\n"
    except FileNotFoundError as error:
        raise errors.Unavailable(
            f"`{path.name}`, which services trust the lab by, is not there", hint="`etabli status` shows the front door"
        ) from error
