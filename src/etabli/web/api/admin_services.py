"""Services and catalogues of the whole lab, for programs of administrators."""

from collections.abc import Mapping
from datetime import datetime

from fastapi import Query, Request
from pydantic import BaseModel, Field

from etabli.admin import services as use_cases
from etabli.catalog import models as catalog
from etabli.services.models import State
from etabli.web import audited
from etabli.web.api import shared
from etabli.web.api.answers import Resources
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.admin_router()


class AnyService(BaseModel):
    """A service of anybody."""

    id: str
    name: str
    project: str
    owner: str
    chart: str
    chart_version: str
    state: str
    message: str
    created_at: datetime
    state_since: datetime
    expires_at: datetime | None
    limits: Resources
    cores: float | None = Field(description="Used now; null where it was not looked at yet.")
    memory_bytes: int | None


class ServicesPage(BaseModel):
    """Services, newest first."""

    services: list[AnyService]
    after: str | None


class Reason(BaseModel):
    """Why; the service's people read it."""

    model_config = {"extra": "forbid"}

    reason: str = Field(max_length=1000)


class Extension(Reason):
    """How long it lives from now, and why."""

    days: int


class BrokenChart(BaseModel):
    """A chart that cannot be launched, and why."""

    name: str
    problem: str


class WholeCatalog(BaseModel):
    """A catalogue, as an administrator sees it."""

    id: str
    name: Mapping[str, str]
    location: str
    listed: bool
    refreshed_at: datetime | None
    problem: str
    charts: int
    broken: list[BrokenChart]


@router.get("/services")
async def list_services(
    request: Request,
    found: Person,
    search: str = Query("", max_length=100),
    state: State | None = None,
    project: str = Query("", max_length=40),
    owner: str = Query("", max_length=40),
    after: str = Query("", max_length=32),
) -> ServicesPage:
    """Services of everybody, newest first."""
    rooms: Rooms = request.app.state.rooms
    rows = await rooms.admin.services.search(
        by=found.user, word=search, state=state.value if state else "", project=project, owner=owner, after=after
    )
    shown = [_service(row) for row in rows[: use_cases.PAGE]]
    return ServicesPage(services=shown, after=shown[-1].id if len(rows) > use_cases.PAGE else None)


@router.get("/services/{service_id}")
async def get_service(request: Request, found: Person, service_id: str) -> AnyService:
    """One service of anybody."""
    rooms: Rooms = request.app.state.rooms
    return _service(await rooms.admin.services.get(by=found.user, service_id=service_id))


@router.post("/services/{service_id}/stop")
async def stop(request: Request, found: Person, service_id: str, asked: Reason) -> AnyService:
    """Pause it; its people read why."""
    rooms: Rooms = request.app.state.rooms
    await rooms.admin.services.stop(by=found.user, service_id=service_id, reason=asked.reason)
    audited.note(request, reason=asked.reason)
    return await get_service(request, found, service_id)


@router.post("/services/{service_id}/extend")
async def extend(request: Request, found: Person, service_id: str, asked: Extension) -> AnyService:
    """Move its end to so many days from now; its people read why."""
    rooms: Rooms = request.app.state.rooms
    await rooms.admin.services.extend(by=found.user, service_id=service_id, days=asked.days, reason=asked.reason)
    audited.note(request, reason=asked.reason, days=str(asked.days))
    return await get_service(request, found, service_id)


@router.get("/catalogs")
async def list_catalogs(request: Request, found: Person) -> list[WholeCatalog]:
    """Every catalogue, those that are not listed too."""
    rooms: Rooms = request.app.state.rooms
    return [_catalog(listing) for listing in await rooms.admin.catalogs.list(by=found.user)]


@router.post("/catalogs/{catalog}/refresh")
async def refresh(request: Request, found: Person, catalog: str) -> WholeCatalog:
    """Read one again now; a failure is its `problem`."""
    rooms: Rooms = request.app.state.rooms
    return _catalog(await rooms.admin.catalogs.refresh(by=found.user, catalog_id=catalog))


def _service(row: use_cases.Row) -> AnyService:
    service, use = row.seen.service, row.seen.use
    return AnyService(
        id=service.id,
        name=service.name,
        project=row.project,
        owner=row.owner,
        chart=f"{service.catalog}/{service.chart}",
        chart_version=service.chart_version,
        state=service.state.value,
        message=service.message,
        created_at=service.created_at,
        state_since=service.state_since,
        expires_at=service.expires_at,
        limits=Resources(cpu=service.limits.cpu, memory_bytes=service.limits.memory_bytes),
        cores=use.cores if use else None,
        memory_bytes=use.memory_bytes if use else None,
    )


def _catalog(listing: catalog.Listing) -> WholeCatalog:
    return WholeCatalog(
        id=listing.id,
        name=dict(listing.name),
        location=listing.location,
        listed=listing.public,
        refreshed_at=listing.refreshed_at,
        problem=listing.problem,
        charts=sum(not entry.problem for entry in listing.entries),
        broken=[BrokenChart(name=entry.name, problem=entry.problem) for entry in listing.entries if entry.problem],
    )
