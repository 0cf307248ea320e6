"""Who lost rights in a project, for as long as something that they were given before may still be good.

A membership is asked for at each request, but keys of S3 carry the groups that a person had when they were bought, and a connection
that is open is not asked again. What ends those reads this list: a row is written with the membership, in one unit of work, so that
no kill comes in between; and is forgotten once nothing given before it can be good any more.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import models
from etabli.identity.store import DepartureRow, MembershipRow
from etabli.kernel.database import Database


class Departures:
    """The list, for the lab itself."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def all(self) -> Mapping[str, tuple[models.Departure, ...]]:
        """By project id, oldest first."""
        found: dict[str, list[models.Departure]] = {}
        async with self._database.session() as session:
            for row in await session.scalars(select(DepartureRow).order_by(DepartureRow.at, DepartureRow.user_id)):
                found.setdefault(row.project_id, []).append(row.read())
        return {project_id: tuple(rows) for project_id, rows in found.items()}

    async def forget(self, *, project_id: str, before: datetime) -> None:
        """Drop those that are older than what was given before them may live."""
        async with self._database.session() as session:
            await session.execute(
                delete(DepartureRow).where(DepartureRow.project_id == project_id, DepartureRow.at < before)
            )


async def note_all(session: AsyncSession, *, project_id: str, after: models.Role | None, now: datetime) -> None:
    """Write down for everybody in a project that they may do at most that there; None: each as their own role says again."""
    members = select(MembershipRow.user_id, MembershipRow.role).where(MembershipRow.project_id == project_id)
    for user_id, text in (await session.execute(members)).all():
        role = models.Role(text)
        await note(
            session,
            project_id=project_id,
            user_id=user_id,
            before=role,
            after=role if after is None else after,
            now=now,
        )


async def note_person(session: AsyncSession, *, user_id: str, is_out: bool, now: datetime) -> None:
    """Write down that a person may do nothing in any of their projects, their own too, or again what they may."""
    memberships = select(MembershipRow.project_id, MembershipRow.role).where(MembershipRow.user_id == user_id)
    for project_id, text in (await session.execute(memberships)).all():
        role = models.Role(text)
        await note(
            session, project_id=project_id, user_id=user_id, before=role, after=None if is_out else role, now=now
        )


async def note(
    session: AsyncSession,
    *,
    project_id: str,
    user_id: str,
    before: models.Role | None,
    after: models.Role | None,
    now: datetime,
) -> None:
    """Write down that a person's role in a project went from one to another; None is not being in it.

    Who may write again is taken off the list, who may read again is left with what they have.
    """
    row = await session.get(DepartureRow, (user_id, project_id))
    if after is not None and after.covers(models.Role.MEMBER):
        if row is not None:
            await session.delete(row)
        return
    if row is None and (before is None or after is before):
        return  # Nothing was ever given to them there.
    row = row or DepartureRow(user_id=user_id, project_id=project_id)
    row.role, row.at = None if after is None else after.value, now
    session.add(row)
