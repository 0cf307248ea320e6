"""Which certificate authorities a service trusts: the machine's, the administrator's own, and the lab's where no public one signs it.

Nothing is given where the lists that come with every tool are enough: a lab on plain HTTP, or one with public certificates, on a
machine whose administrator named no authority.
"""

from pathlib import Path

from etabli.components import caddy
from etabli.components.settings import FrontDoorSettings
from etabli.kernel import errors, settings

# Where distributions keep the list of public authorities: Debian and its kin, Fedora and its kin.
SYSTEM = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))


def bundle(
    layout: settings.Layout, *, lab: settings.LabSettings, door: FrontDoorSettings, administrators: Path | None
) -> str:
    """The list as PEM; empty where services need none of ours. Unavailable while the lab's own authority is not made.

    Tools read one list in place of their own, so that it holds the public authorities too.
    """
    own = [administrators] if administrators is not None else []
    if lab.https and door.own_authority:
        own.append(caddy.root_certificate(layout))
    elif lab.https and door.certificates == "files" and door.certificate is not None:
        own.append(
            door.certificate
        )  # An institution's authority, or none at all: what signs it is at the end of its chain.
    if not own:
        return ""
    return "\n".join(map(_read, dict.fromkeys([*_system(), *own])))


def system_list() -> str:
    """Where this machine, and so a service that sees its system, has that list; empty where it has none."""
    return next((str(path.resolve()) for path in _system()), "")


def _system() -> list[Path]:
    return [path for path in SYSTEM if path.is_file()][:1]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip() + "\n"
    except FileNotFoundError as error:
        raise errors.Unavailable(
            f"`{path.name}`, which services trust the lab by, is not there", hint="`etabli status` shows the front door"
        ) from error
