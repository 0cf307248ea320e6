"""The end of an account, as far as identity has it: shut out, its project closed, its name forgotten. Slugs stay taken."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import queries
from etabli.identity.store import ProjectRow, UserRow
from etabli.kernel import errors
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

NOBODY = "—"  # What others read where the name was.


class Endings:
    """Steps of an account's end. Repeating any is safe."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def is_last_administrator(self, *, user_id: str) -> bool:
        """Whether the lab would have no administrator without them."""
        statement = select(UserRow.id).where(UserRow.is_admin, UserRow.disabled_at.is_(None))
        async with self._database.session() as session:
            return list(await session.scalars(statement)) == [user_id]

    async def shut_out(self, *, user_id: str) -> None:
        """End every session and let them in no more. Conflict for the last administrator."""
        now = self._clock.now()
        async with self._database.session() as session:
            admins = await queries.count_admins(session)
            row = await _row(session, user_id)
            if row.is_admin and row.disabled_at is None and admins == 1:
                raise errors.Conflict("the lab would have no administrator", hint="name another administrator first")
            row.disabled_at = row.disabled_at or now
            row.is_admin, row.password_hash = False, None
            await queries.end_sessions(session, user_id, now=now)

    async def close(self, *, project_id: str) -> None:
        """Close a personal project whose belongings are gone, and forget its name, which is its person's."""
        async with self._database.session() as session:
            row = await session.get_one(ProjectRow, project_id)
            row.archived_at, row.name = row.archived_at or self._clock.now(), NOBODY

    async def forget(self, *, user_id: str) -> None:
        """Forget who they were. The row stays: others' things name it."""
        async with self._database.session() as session:
            row = await _row(session, user_id)
            row.name, row.email, row.git_name, row.git_email, row.picture = NOBODY, None, None, None, None


async def _row(session: AsyncSession, user_id: str) -> UserRow:
    row = await session.get(UserRow, user_id)
    if row is None:
        raise errors.NotFound("no such person")
    return row
