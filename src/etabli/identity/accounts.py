"""What makes an account: what is checked of the form, and the rows written at once, slug and personal project included."""

import re
import unicodedata
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import models, queries
from etabli.identity.passwords import Passwords
from etabli.identity.store import MembershipRow, ProjectRow, UserRow
from etabli.kernel import errors, ids

LONGEST_NAME = 100  # Characters: any name fits, and no page breaks.
LONGEST_EMAIL = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets.
LANGUAGE = re.compile(r"[a-z]{2,3}")
EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f\"(),:;<>\[\\\]]+@[^\s@.\x00-\x1f\x7f]+(?:\.[^\s@.\x00-\x1f\x7f]+)+")
# Marks that turn the reading direction of what stands beside a name, and so forge the text of a page (Unicode UAX 9).
DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Form:
    """What somebody who makes an account says of themselves."""

    name: str
    password: str
    email: str | None = None
    language: str = "en"
    slug: str | None = None  # Derived from the name where they do not choose.


def checked(form: Form, *, passwords: Passwords) -> Form:
    """The form with its texts tidied. Invalid names each wrong field."""
    name, email = tidy(form.name), (form.email or "").strip().lower() or None
    slug = (form.slug or "").strip() or None
    names = tuple(word for word in (name, email, slug) if word)
    problems: dict[str, str | None] = {
        "name": name_problem(name),
        "email": email_problem(email),
        "language": language_problem(form.language),
        "slug": None if slug is None or ids.is_slug(slug) else "3 to 40 of a-z, 0-9 and single dashes, not reserved",
        "password": passwords.problem(form.password, names=names),
    }
    refuse(problems)
    return Form(name=name, password=form.password, email=email, language=form.language, slug=slug)


def refuse(problems: Mapping[str, str | None]) -> None:
    """Invalid, naming every field that has a problem; nothing where none has."""
    fields = {field: problem for field, problem in problems.items() if problem is not None}
    if fields:
        raise errors.Invalid("something is to be corrected", hint="see each field", fields=fields)


def tidy(name: str) -> str:
    """A display name in NFC, with single spaces. A text too long to be a name is left alone, for `name_problem` to refuse."""
    return " ".join(unicodedata.normalize("NFC", name).split()) if len(name) <= 10 * LONGEST_NAME else name


def name_problem(name: str) -> str | None:
    """What is wrong with a display name; None where nothing is."""
    if not name:
        return "a name, as others will read it"
    if len(name) > LONGEST_NAME:
        return f"at most {LONGEST_NAME} characters"
    if any(unicodedata.category(mark) in {"Cc", "Cs", "Co"} or mark in DIRECTION_MARKS for mark in name):
        return "a character that cannot be shown"
    return None


def email_problem(email: str | None) -> str | None:
    """What is wrong with an e-mail address, given in lower case; None where nothing is, or none is given."""
    if email is None:
        return None
    return None if len(email) <= LONGEST_EMAIL and EMAIL.fullmatch(email) else "an address such as name@example.org"


def language_problem(language: str) -> str | None:
    """What is wrong with a language's code; None where nothing is."""
    return None if LANGUAGE.fullmatch(language) else "a language's code, such as en or fr"


async def check_email_is_free(session: AsyncSession, email: str | None, *, but: str | None = None) -> None:
    """Conflict where somebody else than `but` has that e-mail."""
    holder = None if email is None else await queries.person_by_login(session, email)
    if holder is not None and holder.id != but:
        raise _email_taken()


@asynccontextmanager
async def unique_email() -> AsyncIterator[None]:
    """Around a unit of work that writes an e-mail: the same Conflict where another took it since it was checked."""
    try:
        yield
    except IntegrityError as error:
        raise _email_taken() from error


def _email_taken() -> errors.Conflict:
    return errors.Conflict("this e-mail already has an account", hint="sign in, or give another", field="email")


async def create(
    session: AsyncSession, form: Form, *, password_hash: str | None, is_admin: bool, now: datetime
) -> models.User:
    """Write a checked account and its personal project; no password hash for who signs in elsewhere.

    Conflict where the e-mail or the chosen slug is taken.
    """
    await check_email_is_free(session, form.email)
    slug = await take_slug(session, form.slug, name=form.name, fallback="person", now=now)
    user = UserRow(
        id=ids.new_id(),
        slug=slug,
        name=form.name,
        email=form.email,
        password_hash=password_hash,
        is_admin=is_admin,
        language=form.language,
        created_at=now,
    )
    session.add(user)
    await session.flush()
    await create_project(session, slug=slug, name=form.name, kind=models.ProjectKind.PERSONAL, owner=user.id, now=now)
    return user.read()


async def create_project(
    session: AsyncSession,
    *,
    slug: str,
    name: str,
    kind: models.ProjectKind,
    owner: str,
    now: datetime,
    description: str = "",
    data_class: str = "",
) -> models.Project:
    """Write a project whose slug was taken, and its first owner."""
    project = ProjectRow(
        id=ids.new_id(),
        slug=slug,
        name=name,
        kind=kind.value,
        created_at=now,
        description=description,
        data_class=data_class,
    )
    session.add(project)
    await session.flush()
    session.add(MembershipRow(user_id=owner, project_id=project.id, role=models.Role.OWNER.value, created_at=now))
    await session.flush()
    return project.read()


async def take_slug(session: AsyncSession, chosen: str | None, *, name: str, fallback: str, now: datetime) -> str:
    """Take a slug for good: `chosen` (Conflict where it was ever used), else one near `name`, `-2`, `-3`… where need be."""
    if chosen is not None:
        ids.check_slug(chosen)
    base = chosen or ids.slugify(name, fallback=fallback)
    used = await queries.slugs_like(session, base[: ids.SLUG_LENGTH - 5])
    while True:
        if chosen is not None and chosen in used:
            raise errors.Conflict(f"`{chosen}` is taken", hint="choose another", field="slug")
        slug = free_slug(base, used)
        if await queries.take_slug(session, slug, now=now):
            return slug
        used.add(slug)


def free_slug(base: str, used: set[str]) -> str:
    """`base`, or with the first number from 2 that nobody used, cut so that it fits."""
    slug, number = base, 1
    while slug in used or not ids.is_slug(slug):
        number += 1
        suffix = f"-{number}"
        slug = base[: ids.SLUG_LENGTH - len(suffix)].rstrip("-") + suffix
    return slug
