"""The vault's set-up: initialised once, then brought to what this version wants. Run again after a kill at any step, it goes on.

What it leaves: `kv/`, one folder per slug; `lab/`, the lab's own; sign-in by our tokens of audience `vault`; no root token.

The order matters. The answer to `sys/init` is on the disk before anything else is asked. The lab's token is drawn and written before
the vault knows it. The root token is written down while it lives, and revoked before the set-up is said to be done: killed in between,
the next run makes another from the recovery key, and ends it too.
"""

import base64
import hashlib
import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import structlog

from etabli.components import openbao
from etabli.kernel import errors, files
from etabli.kernel.clock import Clock
from etabli.kernel.settings import LabSettings, Layout

log = structlog.get_logger()

JWKS_URL = "http://127.0.0.1:9100/jwks"  # The authoriser serves it inside the components' namespace.
READY_WITHIN = timedelta(seconds=60)  # Its storage elects itself in 7 s the first time.
POLL = timedelta(milliseconds=100)
SERVICE_PERIOD = timedelta(hours=24)  # A token ends that long after it was last renewed.
LAB_PERIOD = timedelta(days=30)
TIMEOUT_S = 30.0

Body: TypeAlias = Mapping[str, object]

# The alias's metadata comes from the token that signed in; `ACCESSOR` is the accessor of the sign-in method.
WHO = "{{identity.entity.aliases.ACCESSOR.metadata.preferred_username}}"
OWN_FOLDER = f"""
path "kv/data/{WHO}/*" {{ capabilities = ["create", "read", "update", "patch", "delete"] }}
path "kv/metadata/{WHO}/*" {{ capabilities = ["create", "read", "update", "patch", "list", "delete"] }}
path "kv/metadata/{WHO}" {{ capabilities = ["list"] }}
path "kv/metadata/{WHO}/" {{ capabilities = ["list"] }}
path "kv/subkeys/{WHO}/*" {{ capabilities = ["read"] }}
path "kv/delete/{WHO}/*" {{ capabilities = ["update"] }}
path "kv/undelete/{WHO}/*" {{ capabilities = ["update"] }}
path "kv/destroy/{WHO}/*" {{ capabilities = ["update"] }}
path "auth/token/lookup-self" {{ capabilities = ["read"] }}
path "auth/token/renew-self" {{ capabilities = ["update"] }}
path "auth/token/revoke-self" {{ capabilities = ["update"] }}
path "sys/capabilities-self" {{ capabilities = ["update"] }}
"""
LAB = """
path "lab/data/*" { capabilities = ["create", "read", "update", "delete"] }
path "lab/metadata/*" { capabilities = ["read", "list", "delete"] }
path "auth/token/renew-accessor" { capabilities = ["update"] }
path "auth/token/revoke-accessor" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
"""

SNAPSHOT = "sys/storage/raft/snapshot"
BACKUP = f"""
path "{SNAPSHOT}" {{ capabilities = ["read"] }}
path "auth/token/lookup-self" {{ capabilities = ["read"] }}
path "auth/token/renew-self" {{ capabilities = ["update"] }}
"""
# The tokens that stay, by their policy: the lab's own, and the backup's.
STAYING: Mapping[str, str] = {"lab": openbao.LAB_TOKEN, "backup": openbao.BACKUP_TOKEN}


@dataclass(frozen=True)
class Kept:
    """What is on the disk of the set-up."""

    recovery_key: str
    root_token: str | None = None  # Only until a set-up ends.
    applied: str = ""  # The digest of the set-up that was brought to its end.


async def ensure_vault_ready(
    layout: Layout, lab: LabSettings, *, clock: Clock, transport: httpx.AsyncBaseTransport | None = None
) -> None:
    """Bring the vault to what this version wants; quick where it is. It must run, and the key set be served.

    Unavailable where it does not get ready, or was initialised without its recovery key being kept (a kill in that very moment):
    starting the lab again then begins with a fresh one.
    """
    way = transport or httpx.AsyncHTTPTransport(uds=str(layout.socket(openbao.SOCKET)))
    async with httpx.AsyncClient(transport=way, base_url="http://vault/v1/", timeout=TIMEOUT_S) as client:
        kept = await _initialised(client, layout)
        await wait_until_active(client, clock)
        wanted = _digest(lab)
        if kept.applied == wanted and all([await _is_good(client, _read(layout, name)) for name in STAYING.values()]):
            return
        root = await _root(client, layout, kept)
        await _apply(client, root, lab)
        for policy, name in STAYING.items():
            await _make_token(client, root, layout.keys / name, policy=policy)
        await _call(client, "POST", "auth/token/revoke-self", root)
        _keep(layout, replace(kept, root_token=None, applied=wanted))
        log.info("vault set up")


async def _initialised(client: httpx.AsyncClient, layout: Layout) -> Kept:
    path = layout.keys / openbao.RECOVERY
    status = await _call(client, "GET", "sys/init")
    if status["initialized"]:
        if not path.exists():
            raise errors.Unavailable(
                "the vault was initialised and its recovery key was not kept: it holds nothing yet",
                hint="`etabli down`, then start the lab again: it makes a fresh one",
            )
        return Kept(**json.loads(path.read_text()))
    answer = await _call(client, "PUT", "sys/init", body={"recovery_shares": 1, "recovery_threshold": 1})
    kept = Kept(recovery_key=answer["recovery_keys_base64"][0], root_token=answer["root_token"])
    _keep(layout, kept)
    return kept


async def wait_until_active(client: httpx.AsyncClient, clock: Clock) -> None:
    """Until it answers and is unsealed. Unavailable where that takes too long."""
    deadline = clock.monotonic() + READY_WITHIN.total_seconds()
    while True:
        try:
            if (await client.get("sys/health")).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            log.debug("the vault does not answer yet")
        if clock.monotonic() > deadline:
            raise errors.Unavailable("the vault does not get ready", hint="`etabli status` shows its last words")
        await clock.sleep(POLL)


async def _root(client: httpx.AsyncClient, layout: Layout, kept: Kept) -> str:
    """The root token of a set-up that did not end, else another, made from the recovery key (sys/generate-root) and written down."""
    if kept.root_token and await _is_good(client, kept.root_token):
        return kept.root_token
    await _call(client, "DELETE", "sys/generate-root/attempt")
    attempt = await _call(client, "PUT", "sys/generate-root/attempt", body={})
    step = {"key": kept.recovery_key, "nonce": attempt["nonce"]}
    done = await _call(client, "PUT", "sys/generate-root/update", body=step)
    encoded = str(done["encoded_token"])
    mixed = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    token = bytes(a ^ b for a, b in zip(mixed, str(attempt["otp"]).encode(), strict=True)).decode()
    _keep(layout, replace(kept, root_token=token))
    return token


async def _apply(client: httpx.AsyncClient, root: str, lab: LabSettings) -> None:
    for mount in ("kv", "lab"):
        await _mount(client, root, mount)
    if "jwt/" not in (await _call(client, "GET", "sys/auth", root))["data"]:
        await _call(client, "POST", "sys/auth/jwt", root, body={"type": "jwt"})
    accessor = (await _call(client, "GET", "sys/auth", root))["data"]["jwt/"]["accessor"]
    await _call(client, "POST", "auth/jwt/config", root, body=_sign_in(lab))
    await _call(client, "POST", "auth/jwt/role/lab", root, body=_role())
    policies = {"own-folder": OWN_FOLDER.replace("ACCESSOR", accessor), "lab": LAB, "backup": BACKUP}
    for name, policy in policies.items():
        await _call(client, "PUT", f"sys/policies/acl/{name}", root, body={"policy": policy})


async def _mount(client: httpx.AsyncClient, root: str, name: str) -> None:
    if f"{name}/" not in (await _call(client, "GET", "sys/mounts", root))["data"]:
        await _call(client, "POST", f"sys/mounts/{name}", root, body={"type": "kv", "options": {"version": "2"}})


def _sign_in(lab: LabSettings) -> Body:
    return {
        "jwks_url": JWKS_URL,
        "bound_issuer": lab.origin,
        "jwt_supported_algs": ["RS256", "ES256"],
        "default_role": "lab",
    }


def _role() -> Body:
    return {
        "role_type": "jwt",
        "bound_audiences": [openbao.AUDIENCE],
        "user_claim": "sub",
        "claim_mappings": {"preferred_username": "preferred_username"},
        # An empty name would make `kv/metadata/` somebody's folder: the issuer never says one, and nobody comes in with one.
        "bound_claims_type": "glob",
        "bound_claims": {"preferred_username": [f"{first}*" for first in string.ascii_lowercase + string.digits]},
        "token_policies": ["own-folder"],
        "token_no_default_policy": True,
        "token_period": f"{int(SERVICE_PERIOD.total_seconds())}s",
    }


async def _make_token(client: httpx.AsyncClient, root: str, path: Path, *, policy: str) -> None:
    """A token that stays, drawn here and written before the vault knows it, so that no kill loses or doubles one."""
    token = files.write_once(path, secrets.token_urlsafe(32)).decode()
    if await _is_good(client, token):
        return
    body = {
        "id": token,
        "display_name": policy,
        "policies": [policy],
        "no_default_policy": True,
        "period": f"{int(LAB_PERIOD.total_seconds())}s",
    }
    await _call(client, "POST", "auth/token/create-orphan", root, body=body)


def _read(layout: Layout, name: str) -> str:
    path = layout.keys / name
    return path.read_text() if path.exists() else ""


async def _is_good(client: httpx.AsyncClient, token: str) -> bool:
    if not token:
        return False
    answer = await client.get("auth/token/lookup-self", headers={"X-Vault-Token": token})
    return answer.is_success


async def _call(
    client: httpx.AsyncClient, method: str, path: str, token: str | None = None, *, body: Body | None = None
) -> dict[str, Any]:
    headers = {"X-Vault-Token": token} if token else {}
    try:
        answer = await client.request(method, path, headers=headers, json=body)
    except httpx.TransportError as error:
        raise errors.Unavailable("the vault does not answer", hint="`etabli status` shows what runs") from error
    if not answer.is_success:
        raise errors.Unavailable(f"the vault's set-up failed at `{path}`: {answer.status_code}", hint=_reason(answer))
    content: dict[str, Any] = answer.json() if answer.content else {}
    return content


def _reason(answer: httpx.Response) -> str:
    """The vault's own words: of set-up calls, they name no secret."""
    try:
        return "; ".join(map(str, answer.json().get("errors", [])))[:500] or "see its log"
    except ValueError:
        return "see its log"


def _digest(lab: LabSettings) -> str:
    """Of all that the set-up wants: another one is brought in at the next start."""
    wanted = [_sign_in(lab), _role(), OWN_FOLDER, LAB, BACKUP]
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def _keep(layout: Layout, kept: Kept) -> None:
    files.write_atomically(layout.keys / openbao.RECOVERY, json.dumps(asdict(kept)))
