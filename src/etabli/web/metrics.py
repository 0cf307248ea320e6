"""`/metrics`: what the lab measures of itself, for the operator and for programs of administrators. Others find nothing there."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from etabli.identity.token_models import Scope
from etabli.kernel import errors
from etabli.web import measures, visitors
from etabli.web.rooms import Rooms
from etabli.web.visitors import Anyone, Visitor

router = APIRouter(include_in_schema=False)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get(visitors.METRICS)
async def metrics(request: Request, found: Anyone) -> Response:
    """Everything, in the text format of Prometheus. NotFound for who comes by a browser."""
    if not _may_read(found):
        raise errors.NotFound("there is no such page")
    kept: measures.Measures = request.app.state.measures
    gauges = await _gauges(request.app.state.rooms, found)
    return Response(measures.Written(kept, gauges).text(), media_type=MEDIA_TYPE)


def _may_read(found: Visitor) -> bool:
    if found.someone is None or not found.user.is_admin:
        return False
    return found.is_operator or (found.bearer is not None and Scope.ADMIN in found.bearer.token.scopes)


async def _gauges(rooms: Rooms, found: Visitor) -> dict[str, tuple[str, dict[str, float]]]:
    """What is true now."""
    states = await rooms.admin.services.states(by=found.user)
    health = await rooms.services.free()
    restarts = await asyncio.to_thread(rooms.admin.machine.restarts)
    return {
        "etabli_services_by_state": ("Services, by state.", {state: float(count) for state, count in states.items()}),
        "etabli_engine_cores_by_what": (
            "Cores of the engine.",
            {"total": health.total.cpu, "reserved": health.reserved.cpu},
        ),
        "etabli_engine_memory_bytes_by_what": (
            "Memory of the engine.",
            {"total": float(health.total.memory_bytes), "reserved": float(health.reserved.memory_bytes)},
        ),
        "etabli_component_starts_by_component": (
            "How often the supervisor started each component.",
            {name: float(count) for name, count in restarts.items()},
        ),
    }
