"""Asking for an account from outside: kept until an administrator answers, once for each e-mail.

Whoever asks is told the same whether the e-mail is known or not. Nothing that was typed is believed: an approval is an invitation that
goes to that e-mail alone, and who holds it makes the account.
"""

from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import delete, func, select, update

from etabli.identity import accounts, limits, models, queries
from etabli.identity.invitations import Invitations
from etabli.identity.people import require_admin
from etabli.identity.settings import IdentitySettings
from etabli.identity.store import AccountRequestRow
from etabli.kernel import errors, ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

LONGEST_MESSAGE = 1000  # Characters.
MOST_WAITING = 500  # Requests: whoever floods the lab fills no disk.
LIFETIME = timedelta(days=14)  # Of the invitation that answers one.
KEPT = timedelta(days=90)  # Answered ones.


@dataclass(frozen=True)
class Asking:
    """What somebody outside says of themselves."""

    name: str
    email: str
    message: str = ""
    language: str = "en"


class Requests:
    """Requests for an account."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        settings: IdentitySettings,
        invitations: Invitations,
        limiter: limits.Limits,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._invitations = invitations
        self._limits = limiter

    @property
    def are_open(self) -> bool:
        """Whether anybody may ask."""
        return self._settings.requests or bool(self._settings.open_domains)

    async def ask(self, *, asking: Asking, address: str) -> models.Invited | None:
        """Note a request, or, for an e-mail of an open domain, make the invitation that is to be sent there and nowhere else.

        NotFound where the lab takes no requests; Invalid by field; TooManyAttempts. An e-mail that has an account, and one that has
        asked already, are answered like any other: None.
        """
        if not self.are_open:
            raise errors.NotFound("this lab takes no requests for accounts")
        checked = _checked(asking)
        await self._limits.take(self._limits.asking(email=checked.email, address=limits.normal_address(address)))
        async with self._database.session() as session:
            known = await queries.person_by_login(session, checked.email) is not None
        is_open = checked.email.rpartition("@")[2] in self._settings.open_domains
        if known or not (is_open or self._settings.requests):
            return None  # Of a domain that is not open: nobody would read it.
        if is_open:
            return await self._invitations.offer(email=checked.email, lifetime=LIFETIME)
        await self._note(checked)
        return None

    async def note(self, *, asking: Asking) -> None:
        """Note a request for an administrator to answer: also of an open domain, where no message could be sent."""
        await self._note(_checked(asking))

    async def list(self, *, by: models.User) -> tuple[models.AccountRequest, ...]:
        """Requests that wait, oldest first. Forbidden but for administrators."""
        require_admin(by)
        return await self.waiting()

    async def waiting(self) -> tuple[models.AccountRequest, ...]:
        """The same, asked by the lab itself."""
        waiting = select(AccountRequestRow).where(AccountRequestRow.answered_at.is_(None))
        async with self._database.session() as session:
            rows = await session.scalars(waiting.order_by(AccountRequestRow.created_at, AccountRequestRow.id))
            return tuple(row.read() for row in rows)

    async def approve(self, *, by: models.User, request_id: str) -> tuple[models.AccountRequest, models.Invited]:
        """Answer with an invitation for that e-mail. NotFound where it was answered, or is none: two who approve make one."""
        require_admin(by)
        request = await self._answer(by, request_id, outcome="approved")
        invited = await self._invitations.offer(email=request.email, lifetime=LIFETIME, by=by)
        log.info("account request approved", request=request_id, by=by.id)
        return request, invited

    async def refuse(self, *, by: models.User, request_id: str) -> models.AccountRequest:
        """Answer no. NotFound where it was answered, or is none."""
        require_admin(by)
        request = await self._answer(by, request_id, outcome="refused")
        log.info("account request refused", request=request_id, by=by.id)
        return request

    async def sweep(self) -> None:
        """Forget what was answered long ago."""
        async with self._database.session() as session:
            old = AccountRequestRow.answered_at < self._clock.now() - KEPT
            await session.execute(delete(AccountRequestRow).where(old))

    async def _note(self, checked: Asking) -> None:
        async with self._database.session() as session:
            open_ones = AccountRequestRow.answered_at.is_(None)
            mine = select(AccountRequestRow).where(open_ones, AccountRequestRow.email == checked.email)
            row = (await session.scalars(mine)).one_or_none()
            if row is None:
                waiting = await session.scalar(select(func.count()).select_from(AccountRequestRow).where(open_ones))
                if (waiting or 0) >= MOST_WAITING:
                    raise errors.Unavailable(
                        "too many requests wait for an answer", hint="write to the lab's administrators"
                    )
                row = AccountRequestRow(id=ids.new_id(), email=checked.email, created_at=self._clock.now())
                session.add(row)
            row.name, row.message, row.language = checked.name, checked.message, checked.language

    async def _answer(self, by: models.User, request_id: str, *, outcome: str) -> models.AccountRequest:
        now = self._clock.now()
        async with self._database.session() as session:
            this = AccountRequestRow.id == request_id
            change = update(AccountRequestRow).where(this, AccountRequestRow.answered_at.is_(None))
            if not await queries.count(session, change.values(answered_at=now, answered_by=by.id, outcome=outcome)):
                raise errors.NotFound("this request was answered already", hint="see those that still wait")
            return (await session.scalars(select(AccountRequestRow).where(this))).one().read()


def _checked(asking: Asking) -> Asking:
    name, email, message = accounts.tidy(asking.name), asking.email.strip().lower(), asking.message.strip()
    accounts.refuse(
        {
            "name": accounts.name_problem(name),
            "email": accounts.email_problem(email or "-"),
            "message": f"at most {LONGEST_MESSAGE} characters" if len(message) > LONGEST_MESSAGE else None,
            "language": accounts.language_problem(asking.language),
        }
    )
    return Asking(name=name, email=email, message=message, language=asking.language)
