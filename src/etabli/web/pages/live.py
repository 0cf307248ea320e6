"""The live stream's address: one stream for each browser, whose tabs share it (static/live.js)."""

import hmac
from typing import Annotated

from fastapi import Header, Request
from starlette.responses import Response

from etabli.web import live, problems, shell
from etabli.web.hub import Hub
from etabli.web.visitors import Person

router = shell.router()
LONGEST_POSITION = 64


@router.get("/live")
async def follow(
    request: Request,
    found: Person,
    tag: str = "",
    after: Annotated[str, Header(alias="Last-Event-ID")] = "",
) -> Response:
    """Hints of what changed, for the session that the pages of `tag` were made for; SignInNeeded for any other."""
    hub: Hub = request.app.state.hub
    session_id = found.session_id
    if not hmac.compare_digest(tag.encode(), found.live_tag.encode()):
        raise problems.SignInNeeded()
    return live.response(
        hub.follow(session_id=session_id, language=found.language, csrf=found.csrf, after=after[:LONGEST_POSITION])
    )
