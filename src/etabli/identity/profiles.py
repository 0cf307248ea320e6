"""What people choose for themselves: how pages look, what signs their commits, a photo. Names and e-mails are `people`'s.

A photo is decoded and encoded again, small and square: nothing of what was sent is ever served, neither its metadata (where it was
taken) nor bytes that are something else to another program.
"""

import asyncio
import hashlib
import io

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import accounts, models
from etabli.identity.store import PictureRow, UserRow
from etabli.kernel import errors
from etabli.kernel.database import Database

PICTURE_BYTES = 2_000_000  # Of what is sent; what is kept has some kilobytes.
PICTURE_PIXELS = 50_000_000  # Of what is sent: more than a telephone's camera makes, and less than a bomb unpacks to.
PICTURE_SIDE = 192  # Pixels; shown at half of it, for screens with twice the dots.
PICTURE_TYPE = "image/webp"
FORMATS = ("JPEG", "PNG", "WEBP")


class Profiles:
    """The choices of the lab's people."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def choose_look(self, *, user_id: str, look: models.Look) -> models.User:
        """How pages are, on every device."""
        async with self._database.session() as session:
            row = await _row(session, user_id)
            row.theme, row.density = look.theme.value, look.density.value
            return row.read()

    async def choose_git(self, *, user_id: str, names: models.GitNames) -> models.User:
        """What the person's own services sign commits with; empty is their name and e-mail here. Invalid by field."""
        name, email = accounts.tidy(names.name or "") or None, (names.email or "").strip() or None
        accounts.refuse(
            {
                "git_name": accounts.name_problem(name) if name else None,
                "git_email": accounts.email_problem(email.lower()) if email else None,
            }
        )
        async with self._database.session() as session:
            row = await _row(session, user_id)
            row.git_name, row.git_email = name, email
            return row.read()

    async def hide_first_steps(self, *, user_id: str) -> None:
        """The first steps are shown no more."""
        async with self._database.session() as session:
            (await _row(session, user_id)).first_steps_hidden = True

    async def set_picture(self, *, user_id: str, content: bytes) -> models.User:
        """Take a photo. Invalid where it is too large, or no picture that we read."""
        made = await asyncio.to_thread(_encoded, content)
        async with self._database.session() as session:
            row = await _row(session, user_id)
            kept = await session.get(PictureRow, user_id)
            if kept is None:
                session.add(PictureRow(user_id=user_id, content=made))
            else:
                kept.content = made
            row.picture = hashlib.sha256(made).hexdigest()
            return row.read()

    async def remove_picture(self, *, user_id: str) -> None:
        """Initials again. None is well."""
        async with self._database.session() as session:
            row = await _row(session, user_id)
            row.picture = None
            if (kept := await session.get(PictureRow, user_id)) is not None:
                await session.delete(kept)

    async def picture(self, *, digest: str) -> bytes:
        """A photo by the digest of its content (`PICTURE_TYPE`); who knows that saw it. NotFound where there is none."""
        statement = (
            select(PictureRow.content)
            .join(UserRow, UserRow.id == PictureRow.user_id)
            .where(UserRow.picture == digest)
            .limit(1)
        )
        async with self._database.session() as session:
            content = await session.scalar(statement)
        if content is None:
            raise errors.NotFound("there is no such page")
        return content


def _encoded(content: bytes) -> bytes:
    """The middle square of a picture, without all that is not its pixels."""
    # Imported here: it takes memory that a lab in which nobody changes a photo does not spend.
    from PIL import Image, ImageOps  # noqa: PLC0415

    if len(content) > PICTURE_BYTES:
        raise _wrong("at most 2 MB")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            if opened.width * opened.height > PICTURE_PIXELS:
                raise _wrong("at most 50 million pixels")
            turned = ImageOps.exif_transpose(opened).convert("RGB")
        small = ImageOps.fit(turned, (PICTURE_SIDE, PICTURE_SIDE))
        made = io.BytesIO()
        small.save(made, "WEBP", quality=82, exif=b"", icc_profile=None)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _wrong("a JPEG, PNG or WebP picture") from error
    return made.getvalue()


def _wrong(text: str) -> errors.Invalid:
    return errors.Invalid("this cannot be your photo", hint="choose another file", fields={"picture": text})


async def _row(session: AsyncSession, user_id: str) -> UserRow:
    row = await session.get(UserRow, user_id)
    if row is None:
        raise errors.NotFound("no such person")
    return row
