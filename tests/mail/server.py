"""A real SMTP server on the loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from etabli.mail.settings import MailSettings, Security

PASSWORD = "mail-password-of-the-lab"


@dataclass
class Server:
    """What the server was given, and whether it takes anything."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    answer: str = "250 taken"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name.
        if self.answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.messages.append(message_from_bytes(content, policy=policy.default))
        return self.answer

    def settings(self, **more: object) -> MailSettings:
        """Settings that lead here."""
        return MailSettings.model_validate(
            {
                "host": "127.0.0.1",
                "port": self.port,
                "security": Security.NONE,
                "sender": "Etabli <lab@example.org>",
                **more,
            }
        )


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    """The server, in this loop."""
    served = Server()
    listening = await asyncio.get_running_loop().create_server(
        lambda: SMTP(served, auth_require_tls=False, authenticator=_authenticate, enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    served.port = listening.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        listening.close()
        await listening.wait_closed()


def _authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(success=data.password == PASSWORD.encode(), handled=False)
