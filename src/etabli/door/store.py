"""The front door's tables. The authoriser reads them with SQL of its own (`authoriser.QUERY`), joined to identity's."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from etabli.kernel.database import Table

ID = String(32)
HOST = String(253)
HASH = String(64)


class RouteRow(Table):
    """A host, and below one path of it, belongs to a service."""

    __tablename__ = "door_routes"
    __table_args__ = (Index("door_routes_service", "service_id"),)

    host: Mapped[str] = mapped_column(HOST, primary_key=True)
    path: Mapped[str] = mapped_column(String(500), primary_key=True)  # `/`, or a prefix that ends with `/`.
    service_id: Mapped[str] = mapped_column(ID)
    project_id: Mapped[str] = mapped_column(ID)
    upstream: Mapped[str] = mapped_column(String(100))  # A file name under Layout.upstreams.
    ready: Mapped[bool]


class CodeRow(Table):
    """A one-time code: goes from the portal to a service's host by a redirect."""

    __tablename__ = "door_codes"

    code_hash: Mapped[str] = mapped_column(HASH, primary_key=True)
    host: Mapped[str] = mapped_column(HOST)
    session_id: Mapped[str] = mapped_column(ID)
    user_id: Mapped[str] = mapped_column(ID)
    expires_at: Mapped[datetime]


class DoorSessionRow(Table):
    """The cookie of one browser at one service's host; worth nothing once the portal's session has ended."""

    __tablename__ = "door_sessions"
    __table_args__ = (Index("door_sessions_session", "session_id"), Index("door_sessions_host", "host"))

    token_hash: Mapped[str] = mapped_column(HASH, primary_key=True)
    host: Mapped[str] = mapped_column(HOST)
    session_id: Mapped[str] = mapped_column(ID)
    user_id: Mapped[str] = mapped_column(ID)
    expires_at: Mapped[datetime]
