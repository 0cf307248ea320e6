"""What is true of a person, asked for the first steps on their home page."""

from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from etabli.identity.factor_store import PasskeyRow
from etabli.identity.store import InvitationRow, MembershipRow
from etabli.kernel.database import Database


@dataclass(frozen=True)
class Facts:
    """What a person has done."""

    has_company: bool  # They invited somebody, or share a project with somebody.
    has_passkey: bool


class FirstSteps:
    """Finds those facts, in one query."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def facts(self, *, user_id: str) -> Facts:
        """What this person has done, as far as identity knows."""
        mine, others = aliased(MembershipRow), aliased(MembershipRow)
        shares = exists().where(
            mine.user_id == user_id, others.project_id == mine.project_id, others.user_id != user_id
        )
        invited = exists().where(InvitationRow.created_by == user_id)
        passkey = exists().where(PasskeyRow.user_id == user_id)
        async with self._database.session() as session:
            row = (await session.execute(select(shares, invited, passkey))).one()
        return Facts(has_company=bool(row[0] or row[1]), has_passkey=bool(row[2]))
