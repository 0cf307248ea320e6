"""Trips under way: an answer is taken once, by the browser that left, before it is too late.

Taking is an UPDATE guarded by its own condition, so that an answer that comes twice at once is read once.
"""

import json
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import opaque, queries
from etabli.identity.outside.flow import Trip
from etabli.identity.outside.models import Said
from etabli.identity.outside.store import OutsideAttemptRow
from etabli.kernel import ids

LIFETIME = timedelta(minutes=15)  # To sign in over there, a second factor included.
DECIDING = timedelta(minutes=30)  # To choose a short name.


def new(trip: Trip, *, provider_id: str, onward: str, user_id: str | None, now: datetime) -> OutsideAttemptRow:
    """A trip that begins now."""
    return OutsideAttemptRow(
        id=ids.new_id() + ids.new_id(),
        state_hash=opaque.digest(trip.state),
        browser_hash=opaque.digest(trip.secret),
        provider_id=provider_id,
        user_id=user_id,
        onward=onward,
        expires_at=now + LIFETIME,
    )


async def take(
    session: AsyncSession, state: str, *, provider_id: str, browsers: tuple[str, ...], now: datetime
) -> tuple[OutsideAttemptRow, str] | None:
    """The trip that ends by this state, and the browser's secret that it began with; None where there is none (any more)."""
    hashes = {opaque.digest(secret): secret for secret in browsers}
    mine = (
        OutsideAttemptRow.state_hash == opaque.digest(state),
        OutsideAttemptRow.provider_id == provider_id,
        OutsideAttemptRow.browser_hash.in_(hashes),
    )
    live = (OutsideAttemptRow.used_at.is_(None), OutsideAttemptRow.expires_at > now)
    if not await queries.count(session, update(OutsideAttemptRow).where(*mine, *live).values(used_at=now)):
        return None
    row = (await session.scalars(select(OutsideAttemptRow).where(*mine))).one()
    return row, hashes[row.browser_hash]


async def keep(session: AsyncSession, attempt_id: str, said: Said, *, now: datetime) -> None:
    """Keep what was said while the person decides."""
    kept = {
        "subject": said.subject,
        "issuer": said.issuer,
        "login": said.login,
        "name": said.name,
        "email": said.email,
        "groups": said.groups,
        "factors": said.factors,
    }
    this = OutsideAttemptRow.id == attempt_id
    values = {"said": json.dumps(kept, ensure_ascii=False), "expires_at": now + DECIDING}
    await session.execute(update(OutsideAttemptRow).where(this).values(**values))


async def kept(
    session: AsyncSession, attempt_id: str, *, browsers: tuple[str, ...], now: datetime
) -> tuple[OutsideAttemptRow, Said] | None:
    """A trip whose person decides, and what was said; None where it is not this browser's, decided, or too old."""
    row = await session.get(OutsideAttemptRow, attempt_id)
    if row is None or row.said is None or row.expires_at <= now:
        return None
    if row.browser_hash not in {opaque.digest(secret) for secret in browsers}:
        return None
    held = json.loads(row.said)
    return row, Said(**{**held, "groups": tuple(held["groups"])})


async def decide(session: AsyncSession, attempt_id: str) -> bool:
    """The person decided; False where they had already."""
    this = (OutsideAttemptRow.id == attempt_id, OutsideAttemptRow.said.is_not(None))
    return bool(await queries.count(session, update(OutsideAttemptRow).where(*this).values(said=None)))
