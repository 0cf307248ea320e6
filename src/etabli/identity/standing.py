"""Which sessions still stand, and what their people may see: asked for many at once, by whoever keeps a line open to them.

A page asks who somebody is at each request. What stays open, the live stream above all, asks here again whenever a table of
WATCHED was written to: whichever use case ended the session, suspended the person or took them out of a project.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from etabli.identity import models
from etabli.identity.store import MembershipRow, ProjectRow, SessionRow, UserRow
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database
from etabli.kernel.events import Event, Events

WATCHED = frozenset(
    table.__tablename__ for table in (SessionRow, UserRow, MembershipRow, ProjectRow)
)  # Who may see what stands in these alone.
TOPIC = "people"  # Of the event that says that one of them was written to.


@dataclass(frozen=True)
class Standing:
    """What a session may see."""

    user_id: str
    projects: Mapping[str, int]  # Id of each project that is not archived → a number that changes as its members do.
    works: frozenset[str] = frozenset()  # Those of them in which the person works, and does not only look.


class Standings:
    """What open sessions may see, now."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def watch(self, events: Events) -> None:
        """Say on the bus, without a word on whom, whenever something may be otherwise. To be called once."""

        def tell(written: frozenset[str]) -> None:
            if written & WATCHED:
                events.publish(Event(topic=TOPIC, subject=""))

        self._database.on_write(tell)

    async def of(self, *, session_ids: Collection[str]) -> Mapping[str, Standing]:
        """The standing of each of these sessions; those that ended, expired, or are of a suspended person are left out."""
        open_ones = (
            select(SessionRow.id, SessionRow.user_id)
            .join(UserRow, UserRow.id == SessionRow.user_id)
            .where(
                SessionRow.id.in_(session_ids),
                SessionRow.ended_at.is_(None),
                SessionRow.expires_at > self._clock.now(),
                UserRow.disabled_at.is_(None),
            )
        )
        async with self._database.session() as session:
            found = {str(session_id): str(user_id) for session_id, user_id in await session.execute(open_ones)}
            theirs = select(MembershipRow.project_id).where(MembershipRow.user_id.in_(set(found.values())))
            members = (
                select(MembershipRow.project_id, MembershipRow.user_id, MembershipRow.role)
                .join(ProjectRow, ProjectRow.id == MembershipRow.project_id)
                .where(MembershipRow.project_id.in_(theirs), ProjectRow.archived_at.is_(None))
            )
            in_project: dict[str, dict[str, str]] = {}
            for project_id, user_id, role in await session.execute(members):
                in_project.setdefault(project_id, {})[user_id] = role
        numbers = {project_id: hash(frozenset(roles.items())) for project_id, roles in in_project.items()}
        return {
            session_id: Standing(
                user_id=user_id,
                projects={project: numbers[project] for project, roles in in_project.items() if user_id in roles},
                works=frozenset(
                    project
                    for project, roles in in_project.items()
                    if user_id in roles and models.Role(roles[user_id]).covers(models.Role.MEMBER)
                ),
            )
            for session_id, user_id in found.items()
        }
