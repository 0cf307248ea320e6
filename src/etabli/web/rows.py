"""Rows of services, as the live stream brings them: made once for all who would read the same, whatever their number.

Twenty changes a second on a list that two hundred people look at are twenty rows here, and four thousand pages if each asked again.
A row is the partial that the page includes; the one thing in it that is a reader's own, the token of its forms, is put in at the end.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from etabli.services.service import Services
from etabli.web.rendering import Renderer

KEPT = 512  # Rows; those of the services that changed last.
TOKEN_PLACE = "the-readers-own-token"
TOPIC = "service"  # Of the events that rows are made for.


@dataclass(frozen=True)
class Reader:
    """What of a reader a row depends on."""

    language: str
    works: bool  # In the project, and does not only look.


@dataclass(frozen=True)
class _Visitor:
    """What the row's template asks of whom it is for."""

    works: bool
    csrf: str = TOKEN_PLACE

    def may_change(self, _project_id: str) -> bool:
        return self.works


@dataclass(frozen=True)
class _Row:
    service: object
    use: object


class Rows:
    """The last row of each service, for each kind of reader."""

    def __init__(self, *, services: Services, renderer: Renderer) -> None:
        self._services = services
        self._renderer = renderer
        self._made: OrderedDict[tuple[str, Reader], tuple[int, asyncio.Task[str]]] = OrderedDict()

    async def html(self, *, service_id: str, version: int, reader: Reader) -> str:
        """The row as it is at that version or later; empty where the service is gone."""
        key = (service_id, reader)
        known = self._made.get(key)
        if known is None or known[0] < version or _has_failed(known[1]):
            known = version, asyncio.create_task(self._make(service_id, reader))
            self._made[key] = known
            self._made.move_to_end(key)
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
        return await asyncio.shield(known[1])

    async def _make(self, service_id: str, reader: Reader) -> str:
        service = await self._services.of_lab(service_id=service_id)
        if service is None:
            return ""
        context = {
            "row": _Row(service=service, use=self._services.use(service_id=service_id)),
            "visitor": _Visitor(works=reader.works),
        }
        return self._renderer.render("_service_row.html", code=reader.language, context=context)


def _has_failed(task: asyncio.Task[str]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
