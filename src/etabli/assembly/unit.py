"""The systemd unit of a lab, as text: the supervisor alone is systemd's; what it started outlives it, as without systemd.

Format: systemd.unit(5), systemd.service(5), systemd.exec(5). Folders may hold spaces and percent signs.
"""

from dataclasses import dataclass
from pathlib import Path

from etabli.kernel import settings

# Where logind gives each person a folder, and takes it away when they leave (pam_systemd(8)).
SESSIONS = Path("/run/user")


@dataclass(frozen=True)
class Owner:
    """The ordinary user whose lab it is."""

    name: str
    uid: int


def render(owner: Owner, *, layout: settings.Layout, python: str, folder: Path) -> str:
    """The unit that starts the lab at boot, by `python`, in `folder`."""
    started = _quoted(python)
    before = [f"+{started} -m etabli.sandbox.preparation {owner.name}"]
    after = ["network-online.target"]
    if layout.run.is_relative_to(SESSIONS):  # Else it would not be there before they sign in.
        before.insert(0, f"+loginctl enable-linger {owner.name}")
        after.append(f"user@{owner.uid}.service")
    return TEXT.format(
        user=owner.name,
        after=" ".join(after),
        mounts=" ".join(_quoted(str(path)) for path in dict.fromkeys((layout.data, folder))),
        folder=_escaped(str(folder)),
        environment=" ".join(_quoted(f"{key}={path}") for key, path in _environment(layout)),
        before="\n".join(f"ExecStartPre={one}" for one in before),
        start=f"{started} -m etabli.main up",
    )


def _environment(layout: settings.Layout) -> tuple[tuple[str, Path], ...]:
    return ("ETABLI_DATA", layout.data), ("ETABLI_RUN", layout.run)


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """One word of a systemd list or command line."""
    inner = _escaped(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"' if inner != text or any(character in text for character in " \t'") else text


TEXT = """\
[Unit]
Description=Etabli, a data lab
After={after}
Wants={after}
RequiresMountsFor={mounts}

[Service]
User={user}
WorkingDirectory={folder}
Environment={environment}
# Proxies and authorities, where an administrator sets them for everybody.
EnvironmentFile=-/etc/environment
{before}
ExecStart={start}
# Notebooks run on while the lab is restarted or upgraded: only the supervisor is stopped, and the next one adopts the rest.
KillMode=process
KillSignal=SIGHUP
# Limits of services are cgroups below the unit's own.
Delegate=yes
Restart=on-failure
RestartSec=2

[Install]
WantedBy=multi-user.target
"""
