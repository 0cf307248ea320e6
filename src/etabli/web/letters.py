"""The messages that the lab sends, in their reader's language: a template each, its first line the subject, plain text below."""

from collections.abc import Mapping

from etabli.kernel import errors
from etabli.mail.models import Message
from etabli.mail.service import Mail
from etabli.web import language
from etabli.web.rendering import Renderer


def write(renderer: Renderer, template: str, *, to: str, code: str, context: Mapping[str, object]) -> Message:
    """A message to one address; `code` is a language, English where the lab has not that one."""
    known = code if code in language.NAMES else language.SOURCE
    text = renderer.render(f"letters/{template}.txt", code=known, context=context)
    subject, _, body = text.partition("\n")
    return Message(to=to, subject=subject.strip(), text=body.strip() + "\n")


async def sent(mail: Mail, message: Message) -> bool:
    """Whether the message could be sent now; who wrote it shows its link where it could not."""
    if not mail.is_set_up:
        return False
    try:
        await mail.send(message=message)
    except errors.Unavailable:
        return False
    return True
