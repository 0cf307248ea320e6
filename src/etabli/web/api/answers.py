"""The JSON that the API answers: small models of its own, so that what is stored may change and what programs read does not."""

from datetime import datetime

from pydantic import BaseModel, Field

from etabli.identity import models


class Answer(BaseModel):
    """The base: read from attributes of the rooms' own dataclasses."""

    model_config = {"from_attributes": True}


class Problem(BaseModel):
    """RFC 9457, with what to do next and which fields are wrong beside."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    hint: str | None = None
    fields: dict[str, str] | None = None
    request: str = Field(description="The request's number, as in the lab's log.")


class ProjectAnswer(Answer):
    """A project, and what one may do in it."""

    id: str
    slug: str
    name: str
    kind: str
    role: str


def project(access: models.Access) -> ProjectAnswer:
    """A project as who is in it reads it."""
    one = access.project
    return ProjectAnswer(id=one.id, slug=one.slug, name=one.name, kind=one.kind.value, role=access.role.value)


class Me(Answer):
    """Who asks."""

    id: str
    slug: str
    name: str
    email: str | None
    is_admin: bool
    language: str
    csrf: str | None = Field(description="What unsafe requests of a browser's session carry as `X-CSRF-Token`.")
    projects: list[ProjectAnswer]


class Chart(Answer):
    """A chart of a catalogue."""

    name: str
    version: str
    description: str
    versions: list[str]
    problem: str = ""


class Catalog(Answer):
    """A catalogue."""

    id: str
    name: str
    description: str
    problem: str
    charts: list[Chart]


class Resources(Answer):
    """Cores and bytes."""

    cpu: float
    memory_bytes: int


class Service(Answer):
    """A service."""

    id: str
    project: str = Field(description="The project's slug.")
    name: str
    catalog: str
    chart: str
    chart_version: str
    state: str
    message: str
    created_at: datetime
    state_since: datetime
    expires_at: datetime | None
    requests: Resources
    limits: Resources
    page: str = Field(description="Where a browser opens it, or follows its start until it answers.")


class LaunchRequest(BaseModel):
    """What to launch. `values` is only what differs from the chart's defaults, nested as in values.yaml."""

    model_config = {"extra": "forbid"}

    catalog: str | None = Field(default=None, max_length=100, description="The first that has the chart by default.")
    chart: str = Field(max_length=100)
    version: str | None = Field(default=None, max_length=100)
    name: str = Field(default="", max_length=1000)
    project: str | None = Field(default=None, max_length=40, description="The project's slug; one's own by default.")
    values: dict[str, object] = Field(default_factory=dict)
    key: str | None = Field(
        default=None, max_length=100, description="Repeating a launch with the same key answers the first one."
    )


class ServiceChange(BaseModel):
    """What to change of a service."""

    model_config = {"extra": "forbid"}

    name: str | None = Field(default=None, max_length=1000)
    expires_at: datetime | None = Field(default=None, description="Its new end, with a time zone.")


class ServiceEvent(Answer):
    """Something that happened to a service."""

    at: datetime
    kind: str
    detail: str


class Hit(Answer):
    """One thing that a search found."""

    kind: str = Field(description="`service`, `chart`, `page`: what it is.")
    title: str
    detail: str
    address: str = Field(description="The path of its page.")
