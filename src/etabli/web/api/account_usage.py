"""What one's own services consumed, for programs."""

from fastapi import Request

from etabli.web.api import shared
from etabli.web.api.admin_usage import Days, UsageReport, answer
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.router("identity")


@router.get("/me/usage")
async def get_own_usage(request: Request, found: Person, days: int = Days) -> UsageReport:
    """Of the services that one launched."""
    rooms: Rooms = request.app.state.rooms
    return answer(await rooms.admin.usage.of_person(user_id=found.user.id, days=days))
