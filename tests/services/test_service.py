"""What people do with services, on the shipped fake engine."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from etabli.identity.models import Role
from etabli.kernel import errors
from etabli.kernel.events import Event
from etabli.services import errors as own
from etabli.services.models import EventKind, State
from tests.services import rooms


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[rooms.Lab]:
    async with rooms.lab(tmp_path) as made:
        yield made


@pytest.fixture
async def portal(lab: rooms.Lab) -> AsyncIterator[rooms.Portal]:
    portal = lab.portal()
    async with portal.running():
        yield portal


async def test_a_launch_becomes_ready_and_can_be_opened(lab: rooms.Lab, portal: rooms.Portal) -> None:
    launched = await portal.launch(name="Indice juin")
    service = await portal.until(launched.id, State.READY)
    assert (service.name, service.chart, service.openable) == ("Indice juin", "notebook", True)
    assert (service.requests.cpu, service.requests.memory_bytes) == (0.5, 1 << 30)  # A request left out is its limit.
    address = await portal.services.address(
        user_id=lab.alice.id, session_id="session", service_id=service.id, to="/lab?path=x"
    )
    assert address.startswith(f"http://alice-{service.id}-0.svc.etabli.localhost:8000/.etabli/enter?code=")
    kinds = [event.kind for event in await portal.services.events(user_id=lab.alice.id, service_id=service.id)]
    assert kinds == [EventKind.READY, EventKind.LAUNCHED]


async def test_pods_get_the_services_token_and_variables_and_the_chart_keeps_its_own(
    lab: rooms.Lab, portal: rooms.Portal
) -> None:
    service = await portal.until((await portal.launch()).id, State.READY)
    plan = lab.world.ghosts[service.id].plan
    request = lab.world.ghosts[service.id].requests[-1]
    container = plan.pods[0].containers[0]
    env = {variable.name: variable.value for variable in container.env}
    assert (env["ETABLI_BUCKET"], env["VAULT_TOKEN"]) == ("chosen-by-the-chart", "vault-secret-1")
    assert any(mount.path == "/run/etabli" for mount in container.mounts)
    secret = next(one for one in request.manifests if one["metadata"]["name"] == f"etabli-{service.id}")  # type: ignore[index,call-overload]
    assert secret["data"].keys() == {"token"}  # type: ignore[attr-defined]


async def test_the_database_holds_no_secret(lab: rooms.Lab, portal: rooms.Portal, tmp_path: Path) -> None:
    service = await portal.until((await portal.launch()).id, State.READY)
    revision = await portal.rooms.store.revision(service.id, 1)
    text = repr(revision)
    assert "drawn-1" not in text
    assert "vault-secret" not in text
    assert "ZHJhd24tMQ" not in text  # The same in base64.
    assert lab.belongings.kept[f"services/{service.id}/1"]


async def test_a_double_click_is_one_service(lab: rooms.Lab, portal: rooms.Portal) -> None:
    both = await asyncio.gather(*(portal.launch(key="form-1") for _ in range(5)))
    assert len({service.id for service in both}) == 1
    await portal.until(both[0].id, State.READY)
    assert len(lab.world.ghosts) == 1
    assert len(lab.belongings.alive) == 1, "what the others were given is taken back"
    assert len(lab.belongings.kept) == 1


async def test_another_persons_service_answers_as_one_that_does_not_exist(lab: rooms.Lab, portal: rooms.Portal) -> None:
    service = await portal.until((await portal.launch()).id, State.READY)
    host = f"alice-{service.id}-0.svc.etabli.localhost"
    attempts = [
        lambda i: portal.services.get(user_id=lab.bob.id, service_id=i),
        lambda i: portal.services.stop(user_id=lab.bob.id, service_id=i),
        lambda i: portal.services.delete(user_id=lab.bob.id, service_id=i),
        lambda i: portal.services.rename(user_id=lab.bob.id, service_id=i, name="mine"),
        lambda i: portal.services.address(user_id=lab.bob.id, session_id="s", service_id=i),
        lambda i: portal.services.address_of_host(
            user_id=lab.bob.id, session_id="s", host=host if i == service.id else "no.svc.etabli.localhost"
        ),
    ]
    for attempt in attempts:
        told = []
        for service_id in (service.id, "absent"):
            with pytest.raises(own.ServiceNotFound) as caught:
                await attempt(service_id)
            told.append((type(caught.value), caught.value.hint))
        assert told[0] == told[1]
    assert (await portal.get(service.id)).state is State.READY


async def test_a_viewer_looks_and_changes_nothing(lab: rooms.Lab, portal: rooms.Portal) -> None:
    project = await lab.identity.projects.create(by=lab.alice, name="Prix")
    await lab.identity.projects.set_member(by=lab.alice, project_id=project.id, slug=lab.bob.slug, role=Role.VIEWER)
    launch = lab.launch()
    with pytest.raises(errors.Forbidden):
        await portal.services.launch(
            user_id=lab.bob.id, launch=type(launch)(project_id=project.id, catalog="ide", chart="notebook")
        )
    service = await portal.services.launch(
        user_id=lab.alice.id, launch=type(launch)(project_id=project.id, catalog="ide", chart="notebook")
    )
    assert (await portal.services.get(user_id=lab.bob.id, service_id=service.id)).id == service.id
    with pytest.raises(errors.Forbidden):
        await portal.services.delete(user_id=lab.bob.id, service_id=service.id)


@pytest.mark.parametrize(
    ("launch", "kind"),
    [
        ({"values": {"bad": 1}}, errors.Invalid),
        ({"values": {"cluster": True}}, errors.Refused),
        ({"values": {"image": "docker.io/evil"}}, errors.NotFound),
        ({"values": {"host": "etabli.localhost"}}, errors.Refused),
        ({"values": {"host": "alice-other-0.svc.etabli.localhost"}}, errors.Refused),
        ({"name": "n" * 10_000}, errors.Invalid),
        ({"name": "two\nlines"}, errors.Invalid),
    ],
)
async def test_a_refused_launch_leaves_nothing(
    lab: rooms.Lab, portal: rooms.Portal, launch: dict[str, object], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await portal.launch(**launch)
    assert await portal.services.list(user_id=lab.alice.id, project_id=lab.alices) == ()
    assert (lab.belongings.alive, lab.belongings.kept, lab.world.ghosts) == (set(), {}, {})


async def test_a_launch_while_the_store_is_away_says_try_again_and_leaves_nothing(
    lab: rooms.Lab, portal: rooms.Portal
) -> None:
    lab.belongings.away = True
    launching = asyncio.ensure_future(portal.launch())
    while not launching.done():
        await lab.clock.advance(timedelta(seconds=1))
    with pytest.raises(errors.Unavailable):
        launching.result()
    assert lab.belongings.asked > 1
    assert lab.belongings.kept == {}


async def test_a_launch_waits_for_a_store_that_is_coming_back(lab: rooms.Lab, portal: rooms.Portal) -> None:
    lab.belongings.away = True
    launching = asyncio.ensure_future(portal.launch())
    while lab.belongings.asked < 3:
        await lab.clock.advance(timedelta(milliseconds=100))
    lab.belongings.away = False
    await lab.clock.advance(timedelta(seconds=1))
    assert (await launching).state is State.WAITING


async def test_names_with_quotes_and_any_script_are_kept_as_typed(portal: rooms.Portal) -> None:
    for name in ("L'indice « mai »", 'a "quoted" <b>name</b>', "北京 🚀"):
        assert (await portal.launch(name=name)).name == name


async def test_a_stopped_service_comes_back_from_the_same_rendering(lab: rooms.Lab, portal: rooms.Portal) -> None:
    service = await portal.until((await portal.launch()).id, State.READY)
    await portal.services.stop(user_id=lab.alice.id, service_id=service.id)
    await portal.until(service.id, State.STOPPED)
    with pytest.raises(own.NotOpenable):
        await portal.services.address(user_id=lab.alice.id, session_id="s", service_id=service.id)
    await portal.services.resume(user_id=lab.alice.id, service_id=service.id)
    await portal.until(service.id, State.READY)
    assert lab.charts.drawn == 1


async def test_a_vault_token_that_died_is_replaced_when_the_service_starts_again(
    lab: rooms.Lab, portal: rooms.Portal
) -> None:
    service = await portal.until((await portal.launch()).id, State.READY)
    await portal.services.stop(user_id=lab.alice.id, service_id=service.id)
    await portal.until(service.id, State.STOPPED)
    lab.belongings.alive.clear()
    await portal.services.resume(user_id=lab.alice.id, service_id=service.id)
    await portal.until(service.id, State.READY)
    env = {one.name: one.value for one in lab.world.ghosts[service.id].plan.pods[0].containers[0].env}
    assert env["VAULT_TOKEN"] == "vault-secret-2"


async def test_deleting_takes_everything_with_it(lab: rooms.Lab, portal: rooms.Portal) -> None:
    service = await portal.until((await portal.launch()).id, State.READY)
    host = f"alice-{service.id}-0.svc.etabli.localhost"
    await portal.services.delete(user_id=lab.alice.id, service_id=service.id)
    async with asyncio.timeout(10):
        while await portal.services.list(user_id=lab.alice.id, project_id=lab.alices):
            await portal.settle()
    assert (lab.belongings.alive, lab.belongings.kept, lab.world.ghosts) == (set(), {}, {})
    assert await portal.rooms.door.service_of(host=host) is None
    with pytest.raises(own.ServiceNotFound):
        await portal.get(service.id)


async def test_an_environment_is_built_first_and_the_service_can_be_deleted_meanwhile(
    lab: rooms.Lab, portal: rooms.Portal
) -> None:
    slow = {"values": {"image": "etabli/slow"}}
    waiting, deleted = [(await portal.launch(**slow)).id for _ in range(2)]
    await portal.until(waiting, State.BUILDING)
    await portal.until(deleted, State.BUILDING)
    await portal.services.delete(user_id=lab.alice.id, service_id=deleted)
    async with asyncio.timeout(10):
        while len(await portal.services.list(user_id=lab.alice.id, project_id=lab.alices)) > 1:
            await portal.settle()
    lab.environments.building.set()
    await portal.until(waiting, State.READY)


async def test_how_far_a_build_is_is_said_on_the_services_that_wait_for_it(
    lab: rooms.Lab, portal: rooms.Portal
) -> None:
    service = await portal.until((await portal.launch(values={"image": "etabli/slow"})).id, State.BUILDING)
    lab.environments.words = "installing 137 packages"
    async with asyncio.timeout(10):
        while (await portal.get(service.id)).message != "installing 137 packages":
            lab.events.publish(Event(topic="build", subject="slow"))
            await portal.settle()
    lab.environments.building.set()
    assert (await portal.until(service.id, State.READY)).message == ""


async def test_a_build_that_fails_says_so_and_is_tried_again_when_asked(lab: rooms.Lab, portal: rooms.Portal) -> None:
    lab.environments.failure = errors.Refused("no such package `pandaz`")
    lab.environments.building.set()
    service = await portal.until((await portal.launch(values={"image": "etabli/slow"})).id, State.FAILED)
    assert "pandaz" in service.message
    lab.environments.failure = None
    await portal.services.resume(user_id=lab.alice.id, service_id=service.id)
    await portal.until(service.id, State.READY)


async def test_a_project_has_a_bound_of_services(lab: rooms.Lab) -> None:
    lab.settings = type(lab.settings)(per_project=1)
    portal = lab.portal()
    await portal.launch()
    with pytest.raises(errors.QuotaExceeded):
        await portal.launch()


async def test_extending_into_the_past_is_refused(lab: rooms.Lab, portal: rooms.Portal) -> None:
    service = await portal.launch()
    with pytest.raises(errors.Invalid) as caught:
        await portal.services.extend(
            user_id=lab.alice.id, service_id=service.id, until=lab.clock.now() - timedelta(seconds=1)
        )
    assert "until" in caught.value.fields
