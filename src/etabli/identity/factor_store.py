"""The tables of what people prove themselves with beside a password: passkeys, codes by time, codes for recovery, links back in.

Whatever must happen once leaves a row: a challenge that was answered, a code that was typed, a link that was followed.
"""

import json
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from etabli.identity import models
from etabli.identity.store import HASH, ID, NAME
from etabli.kernel.database import Table


class PasskeyRow(Table):
    """A passkey: the public half of a key that somebody's device keeps (WebAuthn level 3, section 4: credential record)."""

    __tablename__ = "passkeys"
    __table_args__ = (Index("passkeys_user", "user_id"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    credential_hash: Mapped[str] = mapped_column(
        HASH, unique=True
    )  # Of the credential's id, which may have 1023 bytes.
    credential_id: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)  # COSE_Key.
    sign_count: Mapped[int] = mapped_column(BigInteger)
    handle: Mapped[str] = mapped_column(String(64))  # What the device knows the person by: random, one per person.
    transports: Mapped[str] = mapped_column(Text)  # A JSON list.
    synced: Mapped[bool]
    name: Mapped[str] = mapped_column(NAME)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    copied_at: Mapped[datetime | None]  # When its counter went back: from then on it opens nothing.

    def read(self) -> models.Passkey:
        return models.Passkey(
            id=self.id,
            name=self.name,
            synced=self.synced,
            transports=tuple(json.loads(self.transports)),
            created_at=self.created_at,
            last_used_at=self.last_used_at,
            copied_at=self.copied_at,
        )


class SpentChallengeRow(Table):
    """A challenge that a passkey answered: it is worth nothing again."""

    __tablename__ = "spent_challenges"
    __table_args__ = (Index("spent_challenges_expiry", "expires_at"),)

    challenge_hash: Mapped[str] = mapped_column(HASH, primary_key=True)
    expires_at: Mapped[datetime]


class TotpRow(Table):
    """What a person's application makes codes from (RFC 6238)."""

    __tablename__ = "totps"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    secret: Mapped[str] = mapped_column(Text)  # Sealed with the lab's key, with whom it is of.
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]  # None until a first code showed that the application has it.
    last_step: Mapped[int | None] = mapped_column(BigInteger)  # The time step of the last code that was taken.


class RecoveryCodeRow(Table):
    """A code for the day when the application is lost. Used ones are kept: they count."""

    __tablename__ = "recovery_codes"
    __table_args__ = (Index("recovery_codes_user", "user_id"),)

    code_hash: Mapped[str] = mapped_column(HASH, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    used_at: Mapped[datetime | None]


class SignInStepRow(Table):
    """A sign-in that waits for its second factor, in the browser that has the token."""

    __tablename__ = "sign_in_steps"
    __table_args__ = (Index("sign_in_steps_expiry", "expires_at"),)

    token_hash: Mapped[str] = mapped_column(HASH, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    method: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime]


class ResetLinkRow(Table):
    """A link that lets one person choose a new password."""

    __tablename__ = "reset_links"
    __table_args__ = (Index("reset_links_user", "user_id"),)

    token_hash: Mapped[str] = mapped_column(HASH, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    removes_factors: Mapped[bool]  # Whether it may also remove passkeys and codes.
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]  # When it was used, or another took its place.
