"""Tokens: made for one part of the lab each, and verified where they come back to us.

A token says who (`sub`, `preferred_username`: the slug, which policies use as it is, so it is checked once more here), for whom
(`aud`) and until when. `groups` are the shared projects where a person may work: policies over it grant writing; `reader_groups` are
those where they may only read, archived ones among them. A project's token speaks for the project alone and has no groups.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from joserfc import jwt
from joserfc.errors import JoseError

from etabli.identity import keys, models, queries
from etabli.identity.store import ProjectRow, UserRow
from etabli.kernel import errors, ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

SKEW = timedelta(minutes=1)  # How far ahead of ours the clock of a token may be.
Claims = Mapping[str, object]


class Issuer:
    """Signs and verifies tokens."""

    def __init__(self, *, database: Database, clock: Clock, ring: keys.KeyRing, origin: str) -> None:
        self._database = database
        self._clock = clock
        self._ring = ring
        self.origin = origin  # `iss`: the portal's origin.

    async def issue(
        self, *, subject: models.User | models.Project, audience: models.Audience, lifetime: timedelta
    ) -> str:
        """A token for one part, with nobody signed in. `lifetime` is at most keys.LONGEST_TOKEN.

        Forbidden where the person is suspended or the project archived since `subject` was read.
        """
        claims = await self.person(subject.id) if isinstance(subject, models.User) else await self._project(subject.id)
        return self.sign(claims, audience=audience.value, lifetime=lifetime)

    def sign(self, claims: Claims, *, audience: str, lifetime: timedelta) -> str:
        """A signed token with these claims, from now on."""
        if not timedelta() < lifetime <= keys.LONGEST_TOKEN:
            raise errors.Invalid(f"a token lives at most {keys.LONGEST_TOKEN}", fields={"lifetime": "too long"})
        now, key = self._clock.now(), self._ring.signing()
        issued_at = int(now.timestamp())
        whole = {
            "iss": self.origin,
            "aud": audience,
            "iat": issued_at,
            "exp": issued_at + int(lifetime.total_seconds()),
            "jti": ids.new_id() + ids.new_id(),
            **claims,
        }
        return jwt.encode({"alg": keys.ALGORITHM, "kid": key.kid}, whole, key.key, algorithms=[keys.ALGORITHM])

    def claims_of(self, token: str, *, audience: str) -> Claims:
        """The claims of a token of ours for `audience`, and for it alone. Forbidden where it is anything else, or expired."""
        try:
            claims = jwt.decode(token, self._ring.public(), algorithms=[keys.ALGORITHM]).claims
        except (JoseError, ValueError) as error:
            raise _not_good() from error
        issued_at, expires_at = claims.get("iat"), claims.get("exp")
        if claims.get("iss") != self.origin or claims.get("aud") != audience:
            raise _not_good()
        if not isinstance(issued_at, int) or not isinstance(expires_at, int):
            raise _not_good()
        now = self._clock.now().timestamp()
        # A token from the future was made before the clock went back: it would live too long.
        if not issued_at - SKEW.total_seconds() <= now < expires_at:
            raise _not_good()
        return claims

    def verify(self, token: str) -> models.Caller:
        """Who a token of the audience `api` speaks for. Forbidden where it is not good."""
        claims = self.claims_of(token, audience=models.Audience.API.value)
        groups, expires_at = claims.get("groups"), claims["exp"]
        assert isinstance(expires_at, int)  # claims_of saw to it.
        return models.Caller(
            subject=str(claims["sub"]),
            slug=str(claims["preferred_username"]),
            groups=tuple(map(str, groups)) if isinstance(groups, list) else (),
            expires_at=datetime.fromtimestamp(expires_at, UTC),
        )

    async def person(self, user_id: str) -> Claims:
        """What is said of a person. Forbidden where they are suspended, or gone."""
        async with self._database.session() as session:
            user = await session.get(UserRow, user_id)
            if user is None or user.disabled_at is not None:
                raise errors.Forbidden("this account is suspended", hint="ask an administrator of the lab")
            shared = [
                access
                for archived in (False, True)
                for access in await queries.accesses(session, user_id, archived=archived)
                if access.project.is_shared
            ]
        return {
            "sub": user.id,
            "preferred_username": ids.check_slug(user.slug),
            "groups": _slugs(shared, writing=True),
            "reader_groups": _slugs(shared, writing=False),
        }

    async def _project(self, project_id: str) -> Claims:
        async with self._database.session() as session:
            project = await session.get(ProjectRow, project_id)
            if project is None or project.archived_at is not None:
                raise errors.Forbidden("this project is archived", hint="work goes on in another project")
            return {"sub": project.id, "preferred_username": ids.check_slug(project.slug), "groups": []}


def _slugs(accesses: Sequence[models.Access], *, writing: bool) -> list[str]:
    return sorted(ids.check_slug(access.project.slug) for access in accesses if access.may_work is writing)


def _not_good() -> errors.Forbidden:
    return errors.Forbidden("this token is not good here", hint="ask for a new one")
