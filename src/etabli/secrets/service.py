"""The use cases of the vault: sign a project or a person in, renew and end their tokens, keep what the lab must not forget.

Promises: repeating any call is safe; a token that is gone already is success for `revoke` and False for `renew`; what the lab keeps is
on the disk when `keep` returns.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import structlog

from etabli.identity.models import Audience, Project, User
from etabli.kernel import errors as kernel_errors
from etabli.kernel.settings import LabSettings
from etabli.secrets import errors, models
from etabli.secrets.client import Client
from etabli.secrets.ports import Issuer

log = structlog.get_logger()

ID_TOKEN_LIFETIME = timedelta(minutes=1)  # It is spent at once.
MOUNT, LAB_MOUNT = "kv", "lab"
KEY = re.compile(r"[a-z0-9][a-z0-9-]*(?:/[a-z0-9][a-z0-9-]*)*")
INVALID_ACCESSOR = (
    "invalid accessor"  # What the vault says of one that it does not know any more, under several statuses.
)


class Vault:
    """The vault. `lab_token` gives the lab's own token as it is now: the set-up may make another while we run."""

    def __init__(self, *, client: Client, issuer: Issuer, lab: LabSettings, lab_token: Callable[[], str]) -> None:
        self._client, self._issuer, self._lab, self._lab_token = client, issuer, lab, lab_token

    async def login(self, *, subject: User | Project) -> models.VaultToken:
        """A token for the folder of a person or a project. It ends 24 h after it was last renewed.

        Forbidden where they are suspended or archived, VaultUnavailable where the vault is not there now.
        """
        token = await self._issuer.issue(subject=subject, audience=Audience.VAULT, lifetime=ID_TOKEN_LIFETIME)
        try:
            answer = await self._client.call("POST", "auth/jwt/login", body={"role": "lab", "jwt": token})
        except errors.VaultRefused as error:
            # The token is fresh and ours: the vault is not set up yet, or could not fetch the key set to check it with.
            raise errors.VaultUnavailable(
                "the vault does not accept the lab's tokens now", hint="try again in a moment"
            ) from error
        return models.VaultToken(token=answer["auth"]["client_token"], accessor=answer["auth"]["accessor"])

    async def renew(self, *, accessor: str) -> bool:
        """Let a token live on for its period; False where it is no more."""
        return await self._with_accessor("auth/token/renew-accessor", accessor)

    async def revoke(self, *, accessor: str) -> None:
        """End a token now; already ended is success."""
        await self._with_accessor("auth/token/revoke-accessor", accessor)

    async def keep(self, *, key: str, data: Mapping[str, str]) -> None:
        """Keep something of the lab's own under `key` (`services/<id>/<revision>`), in place of what was there."""
        await self._as_lab("POST", f"{LAB_MOUNT}/data/{_check(key)}", body={"data": dict(data)})

    async def fetch(self, *, key: str) -> Mapping[str, str]:
        """What was kept under `key`. NotFound where nothing is."""
        try:
            answer = await self._as_lab("GET", f"{LAB_MOUNT}/data/{_check(key)}")
        except errors.VaultRefused as error:
            if error.status == httpx.codes.NOT_FOUND:
                raise kernel_errors.NotFound(f"nothing is kept under `{key}`") from error
            raise
        return {str(name): str(value) for name, value in answer["data"]["data"].items()}

    async def forget(self, *, key: str) -> None:
        """Remove what was kept under `key`, every version of it; already gone is success."""
        await self._as_lab("DELETE", f"{LAB_MOUNT}/metadata/{_check(key)}")

    async def erase(self, *, project: Project) -> None:
        """Remove the project's folder, every version of every secret. Already gone is success; a kill half-way is no harm."""
        signed_in = await self.login(subject=project)
        try:
            await self._erase(f"{MOUNT}/metadata/{project.slug}/", token=signed_in.token)
        finally:
            await self.revoke(accessor=signed_in.accessor)
        log.info("folder erased", project=project.id)

    async def _erase(self, folder: str, *, token: str) -> None:
        try:
            answer = await self._client.call("LIST", folder, token=token)
        except errors.VaultRefused as error:
            if error.status == httpx.codes.NOT_FOUND:
                return  # What holds nothing is not there.
            raise
        for name in answer["data"]["keys"]:
            if str(name).endswith("/"):
                await self._erase(f"{folder}{quote(str(name))}", token=token)
            else:
                await self._client.call("DELETE", f"{folder}{quote(str(name))}", token=token)

    async def tend(self) -> None:
        """Renew the lab's own token, which ends 30 days after it was last renewed. To be called every day."""
        await self._as_lab("POST", "auth/token/renew-self", body={})

    def variables(self, *, project: Project) -> Mapping[str, str]:
        """What a service finds its folder by, as Onyxia's charts name it. The token itself is a secret: `VAULT_TOKEN`."""
        return {"VAULT_ADDR": self._lab.vault_origin, "VAULT_MOUNT": MOUNT, "VAULT_TOP_DIR": project.slug}

    async def _with_accessor(self, path: str, accessor: str) -> bool:
        try:
            await self._as_lab("POST", path, body={"accessor": accessor})
        except errors.VaultRefused as error:
            if INVALID_ACCESSOR in error.reason:
                return False
            raise
        return True

    async def _as_lab(self, method: str, path: str, *, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        try:
            token = self._lab_token()
        except FileNotFoundError as error:
            raise errors.VaultUnavailable("the vault is not set up yet", hint="try again in a moment") from error
        return await self._client.call(method, path, token=token, body=body)


def _check(key: str) -> str:
    """Keys are ours, never a person's words: a wrong one is a bug, and must not leave its folder."""
    if KEY.fullmatch(key) is None:
        raise ValueError("a key is words of a-z, 0-9 and dashes, between slashes")
    return key
