"""OpenBao, the vault: configuration rendered, the component that runs it, and its set-up, which converges from wherever it was
killed.

Promises: it answers at `run/vault.sock` alone (0600), and on the loopback of the components' namespace, which its storage needs. It
unseals itself from a key file. Rights are one policy over the claims of our own tokens: the folder `kv/<preferred_username>/`
belongs to who a token of audience `vault` names, a person or a project (decision 0002). The root token lives as long as the set-up
(`vault_setup`). What stays, 0600, is a recovery key, which makes a new one when a later version sets up more, the lab's own token,
which reads and writes `lab/`, renews and ends tokens by accessor, and does no more, and the backup's, which takes a snapshot
(encrypted by the seal) and does no more. No audit log: it would hold what is asked.

Refused: a vault whose recovery key is lost but whose data is not ours to throw away is moved aside, never deleted.
"""

import fcntl
import json
import os
import secrets
import sys
import time
from pathlib import Path

import structlog

from etabli.components import models, private_tmp, versions
from etabli.kernel import files
from etabli.kernel.settings import LabSettings, Layout

log = structlog.get_logger()

NAME = "openbao"
AUDIENCE = "vault"
SOCKET = "vault"
MEMORY_LIMIT_MIB = 120
UNSEAL_KEY = "openbao-unseal.key"
RECOVERY = (
    "openbao-recovery.json"  # {"recovery_key", "root_token" (until it is revoked), "applied": digest of the set-up}
)
LAB_TOKEN = "openbao-lab.token"
BACKUP_TOKEN = "openbao-backup.token"


def component(layout: Layout, lab: LabSettings, *, needs: tuple[str, ...] = ()) -> models.Component:
    """Render the configuration and say how OpenBao is run. Ready means unsealed, or waiting for its set-up (`vault_setup`)."""
    folder = files.private_folder(layout.components / NAME)
    data = folder / "data"
    _set_aside_unfinished(layout, data)
    files.private_folder(data)
    files.write_once(layout.keys / UNSEAL_KEY, secrets.token_bytes(32))
    path = folder / "openbao.json"
    content = render(layout, data)
    if not path.exists() or path.read_text() != content:
        files.write_atomically(path, content)
    binary = versions.binary(NAME)
    return models.Component(
        name=NAME,
        argv=private_tmp.command(
            files.private_folder(folder / "tmp"),
            (binary.parent, folder, layout.keys, layout.run),
            (str(binary), "server", f"-config={path}"),
        ),
        folder=folder,
        env={"GOMEMLIMIT": f"{MEMORY_LIMIT_MIB}MiB", "GOGC": "50"},
        files=(path,),
        version=versions.named(NAME),
        places=(sys.executable, str(binary), str(binary.parent)),
        needs=needs,
        health=models.Health(socket=layout.socket(SOCKET), path="/v1/sys/health?uninitcode=200"),
        inner=True,
        grace_seconds=10.0,
    )


def render(layout: Layout, data: Path) -> str:
    """The configuration (https://openbao.org/docs/configuration/), as JSON."""
    return json.dumps(
        {
            "ui": False,
            "log_level": "warn",
            "raw_storage_endpoint": False,
            "api_addr": "http://127.0.0.1:8200",
            "cluster_addr": "http://127.0.0.1:8201",
            "listener": [
                # Its `socket_mode` asks for an owner and a group by name, which a namespace has not: the umask makes it ours alone.
                # A new root token is made with the recovery key alone, by who can open this socket; the door passes no such path.
                {"unix": {"address": str(layout.socket(SOCKET)), "disable_unauthed_generate_root_endpoints": False}},
                # Raft, the only storage there is, does not start without a cluster address, which a UNIX listener has not.
                {"tcp": {"address": "127.0.0.1:8200", "cluster_address": "127.0.0.1:8201", "tls_disable": True}},
            ],
            "storage": {"raft": {"path": str(data), "node_id": "lab", "performance_multiplier": 1}},
            "seal": {
                "static": {"current_key_id": "lab", "current_key": f"file://{layout.keys / UNSEAL_KEY}"},
            },
        },
        indent=1,
    )


def lab_token(layout: Layout) -> str:
    """The lab's own token; it is good once the set-up ended well."""
    return (layout.keys / LAB_TOKEN).read_text()


def _set_aside_unfinished(layout: Layout, data: Path) -> None:
    """A vault that was initialised while nobody kept its recovery key was never used: another takes its place.

    It is moved, not deleted: the key may have been lost in another way. One that runs is left alone.
    """
    database = data / "vault.db"
    if not database.exists() or (layout.keys / RECOVERY).exists() or _is_locked(database):
        return
    aside = data.with_name(f"data.without-keys-{int(time.time())}")
    data.rename(aside)
    log.warning("a vault without its recovery key was set aside", folder=str(aside))


def _is_locked(database: Path) -> bool:
    """Whether a process has the database open: it holds flock(2) on it."""
    descriptor = os.open(database, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
