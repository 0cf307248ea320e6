"""Applications that sign people in through us: registered by an administrator, known by their id and exact redirect addresses."""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping, Sequence
from urllib.parse import unquote_plus, urlsplit

import structlog
from sqlalchemy import select

from etabli.identity import accounts, errors, models, opaque
from etabli.identity.people import require_admin
from etabli.identity.store import ClientRow
from etabli.kernel import errors as kernel_errors
from etabli.kernel import ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

MOST_REDIRECTS = 20
LONGEST_REDIRECT = 2000  # Characters.
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Clients:
    """The registered applications."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def register(
        self, *, by: models.User, name: str, redirect_uris: Sequence[str], confidential: bool = True
    ) -> models.RegisteredClient:
        """Register an application. Its id is ours to choose, so that it never is the name of a part. Invalid by field."""
        require_admin(by)
        name = accounts.tidy(name)
        accounts.refuse({"name": accounts.name_problem(name), "redirect_uris": _redirects_problem(redirect_uris)})
        secret = opaque.new() if confidential else None
        row = ClientRow(
            id=ids.new_id(),
            name=name,
            secret_hash=None if secret is None else opaque.digest(secret),
            redirect_uris=json.dumps(list(redirect_uris)),
            created_at=self._clock.now(),
        )
        async with self._database.session() as session:
            session.add(row)
        log.info("client registered", client=row.id, by=by.id)
        return models.RegisteredClient(client=row.read(), secret=secret)

    async def list(self, *, by: models.User) -> tuple[models.Client, ...]:
        """Every registered application, by name."""
        require_admin(by)
        statement = select(ClientRow).where(ClientRow.ended_at.is_(None)).order_by(ClientRow.name, ClientRow.id)
        async with self._database.session() as session:
            return tuple(row.read() for row in await session.scalars(statement))

    async def end(self, *, by: models.User, client_id: str) -> None:
        """An application signs nobody in any more. NotFound where there is none; already ended is well."""
        require_admin(by)
        async with self._database.session() as session:
            row = await session.get(ClientRow, client_id)
            if row is None:
                raise kernel_errors.NotFound("no such application")
            row.ended_at = row.ended_at or self._clock.now()

    async def find(self, *, client_id: str) -> models.Client:
        """A registered application. NotFound where there is none."""
        async with self._database.session() as session:
            row = await session.get(ClientRow, client_id)
            if row is None or row.ended_at is not None:
                raise kernel_errors.NotFound(
                    "no such application is registered here", hint="tell whoever runs the application"
                )
            return row.read()

    async def authenticate(self, *, form: Mapping[str, str], authorization: str | None) -> models.Client:
        """Which application asks (RFC 6749 section 2.3): `client_secret_basic`, `client_secret_post`, or a public one by its id.

        ProtocolError `invalid_client` where it does not prove who it is, `invalid_request` where it says so twice.
        """
        client_id, secret = _credentials(form, authorization)
        async with self._database.session() as session:
            row = await session.get(ClientRow, client_id)
        if row is None or row.ended_at is not None:
            raise _unknown_client()
        given = None if secret is None else opaque.digest(secret)
        if (given is None) != (row.secret_hash is None):
            raise _unknown_client()
        if given is not None and not hmac.compare_digest(given, row.secret_hash or ""):
            raise _unknown_client()
        return row.read()


def _credentials(form: Mapping[str, str], authorization: str | None) -> tuple[str, str | None]:
    if authorization is None:
        return form.get("client_id", ""), form.get("client_secret")
    if "client_secret" in form:
        raise errors.ProtocolError("invalid_request", "the client proves who it is in two ways")
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _unknown_client() from error
    client_id, colon, secret = decoded.partition(":")
    client_id = unquote_plus(client_id)
    if scheme.lower() != "basic" or not colon or form.get("client_id", client_id) != client_id:
        raise _unknown_client()
    return client_id, unquote_plus(secret)


def _unknown_client() -> errors.ProtocolError:
    return errors.ProtocolError("invalid_client", "the client is not known, or does not prove who it is")


def _redirects_problem(redirect_uris: Sequence[str]) -> str | None:
    if not 1 <= len(redirect_uris) <= MOST_REDIRECTS:
        return f"from 1 to {MOST_REDIRECTS} addresses"
    wrong = [uri for uri in redirect_uris if not _is_redirect(uri)]
    return f"https, or http on this machine, whole and without a fragment: `{wrong[0][:100]}`" if wrong else None


def _is_redirect(uri: str) -> bool:
    """Whether a browser may be sent there with a code (RFC 9700 section 4.1): over TLS, or to a name of this machine."""
    if len(uri) > LONGEST_REDIRECT or not uri.isascii() or not uri.isprintable() or " " in uri:
        return False
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    is_local = host in LOOPBACK or host.endswith(".localhost")
    return (
        bool(host)
        and "#" not in uri
        and "@" not in parts.netloc
        and (parts.scheme == "https" or (parts.scheme == "http" and is_local))
    )
