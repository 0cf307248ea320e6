"""Memberships that a provider's groups give: what its rules say is set at each sign-in, and taken back when the group is gone.

What a person gave stays: a grant remembers what was there before it, and a role that somebody changed since counts as theirs. A
rule with brackets never enters a project that it did not make, so that whoever names a group there does not name a way in here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import accounts, departures, models, queries
from etabli.identity.models import Role
from etabli.identity.outside.settings import ProjectRule
from etabli.identity.outside.store import GrantRow, RuleProjectRow
from etabli.identity.store import MembershipRow, ProjectRow
from etabli.kernel import ids

log = structlog.get_logger()

MOST_PROJECTS = 100  # Of one person by one provider's rules: past it, a rule is wrong.


@dataclass(frozen=True)
class Wanted:
    """A project that a group leads to, by the short name that the rule asks for."""

    asked: str
    name: str
    role: Role
    is_named: bool  # The rule itself names it: an administrator chose that very project.


async def apply(
    session: AsyncSession,
    *,
    user_id: str,
    provider_id: str,
    rules: Sequence[ProjectRule],
    groups: Iterable[str],
    now: datetime,
) -> None:
    """Give what the groups of a person now give by the rules of a provider, and take back what they no more do."""
    given = {row.project_id: Role(row.role) for row in await session.scalars(_grants(user_id, provider_id))}
    wanted: dict[str, Role] = {}
    for one in asked_for(rules, groups)[:MOST_PROJECTS]:
        project_id = await _project(session, provider_id, one, now=now)
        if project_id is not None:
            wanted[project_id] = highest(wanted.get(project_id), one.role) or one.role
    for project_id in sorted({*given, *wanted}):
        await _settle(session, user_id, project_id, provider_id, role=wanted.get(project_id), now=now)


def asked_for(rules: Sequence[ProjectRule], groups: Iterable[str]) -> list[Wanted]:
    """What the rules ask for these groups, each project once, with the highest role."""
    found: dict[str, Wanted] = {}
    for group in sorted(groups):
        for rule in rules:
            if match := re.fullmatch(rule.group, group):
                asked = ids.slugify(_filled(rule.project, match), fallback="")
                if not asked:
                    continue
                before = found.get(asked)
                found[asked] = Wanted(
                    asked=asked,
                    name=accounts.tidy(_filled(rule.name, match))[: accounts.LONGEST_NAME] or asked,
                    role=highest(before.role if before else None, rule.role) or rule.role,
                    is_named="{" not in rule.project or (before is not None and before.is_named),
                )
    return list(found.values())


def settled(current: Role | None, before: Role | None, *, old: Sequence[Role], new: Sequence[Role]) -> "Settled":
    """What a membership becomes when grants change from `old` to `new`.

    `before` is what a person had given; where the role is not what it and the grants made, somebody changed it, and that counts now.
    """
    if current != highest(before, *old):
        before = current
    return Settled(role=highest(before, *new), before=before)


@dataclass(frozen=True)
class Settled:
    """A membership's role, and what of it a person gave; None is no membership."""

    role: Role | None
    before: Role | None


def highest(*roles: Role | None) -> Role | None:
    """The role that may do most; None of none."""
    found: Role | None = None
    for role in roles:
        if role is not None and (found is None or role.covers(found)):
            found = role
    return found


async def _settle(
    session: AsyncSession, user_id: str, project_id: str, provider_id: str, *, role: Role | None, now: datetime
) -> None:
    """Set, change or end one provider's grant, and the membership that follows from all of them."""
    members = await queries.lock_members(session, project_id)
    rows = {row.provider_id: row for row in await session.scalars(_grants_in(user_id, project_id))}
    old = [Role(row.role) for row in rows.values()]
    others = [Role(row.role) for name, row in rows.items() if name != provider_id]
    held = next((row.before for row in rows.values()), None)
    before = members.get(user_id) if not rows else (None if held is None else Role(held))
    result = settled(members.get(user_id), before, old=old, new=[*others, *([role] if role else [])])
    await _set_grant(session, rows, user_id, project_id, provider_id, role=role, now=now)
    for row in rows.values():
        row.before = None if result.before is None else result.before.value
    await _set_membership(session, user_id, project_id, before=members.get(user_id), role=result.role, now=now)


async def _set_grant(
    session: AsyncSession,
    rows: dict[str, GrantRow],
    user_id: str,
    project_id: str,
    provider_id: str,
    *,
    role: Role | None,
    now: datetime,
) -> None:
    """Write this provider's grant among those of the membership, or take it out."""
    row = rows.get(provider_id)
    if role is None:
        if row is not None:
            await session.delete(rows.pop(provider_id))
        return
    if row is None:
        row = GrantRow(user_id=user_id, project_id=project_id, provider_id=provider_id, role=role.value, created_at=now)
        session.add(row)
        rows[provider_id] = row
    row.role = role.value


async def _set_membership(
    session: AsyncSession, user_id: str, project_id: str, *, before: Role | None, role: Role | None, now: datetime
) -> None:
    if role is before:
        return
    await departures.note(session, project_id=project_id, user_id=user_id, before=before, after=role, now=now)
    if before is None and role is not None:
        session.add(MembershipRow(user_id=user_id, project_id=project_id, role=role.value, created_at=now))
    else:
        row = await session.get_one(MembershipRow, (user_id, project_id))
        if role is None:
            await session.delete(row)
        else:
            row.role = role.value
    log.info("membership by a group", project=project_id, user=user_id, role=role)


async def _project(session: AsyncSession, provider_id: str, wanted: Wanted, *, now: datetime) -> str | None:
    """The project that a rule means, made where there is none; None where it is not the rule's to enter."""
    made = await session.get(RuleProjectRow, (provider_id, wanted.asked))
    if made is not None:
        return made.project_id
    if wanted.is_named:
        there = (await session.scalars(select(ProjectRow).where(ProjectRow.slug == wanted.asked))).one_or_none()
        if there is not None:
            return there.id if there.kind == models.ProjectKind.SHARED.value else None
    slug = await accounts.take_slug(session, None, name=wanted.asked, fallback="group", now=now)
    row = ProjectRow(id=ids.new_id(), slug=slug, name=wanted.name, kind=models.ProjectKind.SHARED.value, created_at=now)
    session.add(row)
    await session.flush()
    session.add(RuleProjectRow(provider_id=provider_id, asked=wanted.asked, project_id=row.id, created_at=now))
    log.info("project made by a group", project=row.id, provider=provider_id)
    return row.id


def _filled(template: str, match: re.Match[str]) -> str:
    """The template with `{1}`… replaced by what the expression's brackets found."""
    found: Mapping[str, str] = {str(number): text or "" for number, text in enumerate(match.groups(), start=1)}
    return re.sub(r"\{(\d+)\}", lambda place: found.get(place.group(1), ""), template)


def _grants(user_id: str, provider_id: str) -> Select[GrantRow]:
    return select(GrantRow).where(GrantRow.user_id == user_id, GrantRow.provider_id == provider_id)


def _grants_in(user_id: str, project_id: str) -> Select[GrantRow]:
    return select(GrantRow).where(GrantRow.user_id == user_id, GrantRow.project_id == project_id)
