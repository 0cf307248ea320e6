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
