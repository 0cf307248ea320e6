"""What whoever launches has of their own reaches no service of a shared project: not by its chart's context, not by what pods get."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from etabli.assembly import bindings
from etabli.catalog import context as contexts
from etabli.catalog.service import Catalog
from etabli.catalog.settings import CatalogEntry, CatalogSettings
from etabli.engines import contract
from etabli.engines.fake import FakeEngine
from etabli.identity import models, people
from etabli.identity.models import Role
from etabli.kernel.clock import SystemClock
from etabli.kernel.settings import LabSettings
from etabli.secrets.client import Client as VaultClient
from etabli.secrets.service import Vault
from etabli.services.models import Launch, State
from etabli.storage.client import Client
from etabli.storage.models import Keys
from etabli.storage.service import Storage
from etabli.storage.settings import StorageSettings
from tests.catalog import builders
from tests.services import rooms

LAB = LabSettings(language="en")
NAME, EMAIL, GIT_NAME, GIT_EMAIL = "Zoé Intime", "zoe.intime@maison.example", "Zouzou", "zouzou@forge.example"
# A chart of somebody curious: each of its values asks for one name of Onyxia's context.
POD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {matchLabels: {app: x}}
  template:
    metadata: {labels: {app: x}}
    spec: {containers: [{name: main, image: etabli/python, command: [run]}]}
"""


@dataclass
class Place:
    """A lab with one person in it, who has much of her own, and a catalogue with the curious chart."""

    lab: rooms.Lab
    charts: bindings.Charts
    person: models.User

    async def told(self, project: models.Project) -> tuple[Mapping[str, object], str]:
        """The context of a launch of hers in a project, and all that the engine and the vault were given for it, as one text."""
        portal = self.lab.portal()
        ground = await portal.rooms.people.ground(user_id=self.person.id, project_id=project.id)
        assert ground is not None
        context = await self.charts.context(user_id=self.person.id, ground=ground, service_id="abcdefghjk")
        launch = Launch(project_id=project.id, catalog="c0", chart="curious")
        async with portal.running():
            service = await portal.services.launch(user_id=self.person.id, launch=launch)
            await portal.until(service.id, State.READY, State.STARTING)
        (request,) = self.lab.world.ghosts[service.id].requests[-1:]
        kept = {key: dict(data) for key, data in self.lab.belongings.kept.items() if service.id in key}
        return context, json.dumps([request.manifests, kept], default=str, ensure_ascii=False)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    schema = {"properties": {f"v{n}": asking(path) for n, path in enumerate(names())}}
    templates = {"all.yaml": builders.CONFIG_MAP, "pod.yaml": POD}
    builders.a_chart(tmp_path / "charts", "curious", schema=schema, templates=templates)
    async with rooms.lab(tmp_path) as lab, httpx.AsyncClient() as http:
        config = CatalogSettings(catalogs=[CatalogEntry(id="c0", location=str(tmp_path / "charts"))])
        catalog = Catalog(config, builtin=tmp_path, cache=tmp_path / "cache", http=http, clock=SystemClock())
        await catalog.load()
        keys = Keys("a", "b", None)
        client = Client(socket=tmp_path / "s3", origin=LAB.s3_origin, region="local", keys=keys)
        storage = Storage(
            client=client, issuer=lab.identity.issuer, clock=lab.clock, lab=LAB, settings=StorageSettings()
        )
        vault = Vault(
            client=VaultClient(socket=tmp_path / "v"), issuer=lab.identity.issuer, lab=LAB, lab_token=lambda: ""
        )
        engine = FakeEngine(total=contract.Resources(cpu=8, memory_bytes=16 << 30))
        charts = bindings.Charts(catalog, lab.identity, storage, vault, engine, LAB)
        lab.charts = charts  # type: ignore[assignment] # The real ones in place of the test's.
        profile = people.Profile(name=NAME, email=EMAIL, language="fr")
        await lab.identity.people.change_profile(user_id=lab.alice.id, profile=profile)
        git = models.GitNames(name=GIT_NAME, email=GIT_EMAIL)
        person = await lab.identity.profiles.choose_git(user_id=lab.alice.id, names=git)
        yield Place(lab, charts, person)
        await catalog.close()


def asking(path: str) -> Mapping[str, object]:
    """A value whose default is that name of the context."""
    return {"type": "string", "default": "nothing", "x-onyxia": {"overwriteDefaultWith": path}}


def names() -> list[str]:
    """Every name that the context of a person's own project has."""
    full = contexts.Context(
        user=contexts.User(idep="x", name="x", email="x", password="x", ip="x", lang="x"),
        project=contexts.Project(id="x", password="x", basic="x"),
        git=contexts.Git(name="x", email="x", token="x"),
        vault=contexts.Vault(address="x", mount="x", top_dir="x"),
        s3=contexts.S3(region="x", endpoint="x", bucket="x"),
        k8s=contexts.K8s(domain="x", random_subdomain="x", init_script_url="x"),
    ).tree()
    return [f"{part}.{name}" for part, inner in full.items() if isinstance(inner, dict) for name in inner]


def texts(value: object) -> Iterator[str]:
    """Every text of a tree."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)
    else:
        yield str(value)


async def test_a_shared_projects_service_is_told_nothing_of_who_launched_it(place: Place) -> None:
    projects, person = place.lab.identity.projects, place.person
    shared = await projects.create(by=place.lab.bob, name="Prices")
    await projects.set_member(by=place.lab.bob, project_id=shared.id, slug=person.slug, role=Role.MEMBER)
    context, given = await place.told(shared)
    own = [person.slug, person.id, NAME, EMAIL, GIT_NAME, GIT_EMAIL]
    for secret in own:
        assert secret not in given, secret
        assert not [text for text in texts(context) if secret in text], secret
    assert "fr" not in texts(context), "the language that she reads is hers"
    assert context["user"] == {"idep": shared.slug, "lang": "en", "accessToken": "", "refreshToken": ""}
    for theirs in (f"project-{shared.slug}", f'\\"{shared.slug}\\"'):
        assert theirs in given


async def test_her_own_services_are_told_of_her_so_that_the_test_above_looks_in_the_right_place(place: Place) -> None:
    own = await place.lab.identity.projects.personal(user_id=place.person.id)
    _, given = await place.told(own)
    for hers in (place.person.slug, NAME, EMAIL, GIT_NAME, GIT_EMAIL):
        assert hers in given, hers
