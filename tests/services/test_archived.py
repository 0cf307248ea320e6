"""Services of a project that is closed, and opened again."""

from datetime import timedelta
from pathlib import Path

import pytest

from etabli.identity.models import Role
from etabli.kernel import errors
from etabli.services.models import Launch, State
from tests.services import rooms


async def test_a_closed_projects_services_stop_keep_their_volumes_and_lose_their_vault_token(tmp_path: Path) -> None:
    async with rooms.lab(tmp_path) as lab:
        project = await lab.identity.projects.create(by=lab.alice, name="Prices")
        await lab.identity.projects.set_member(by=lab.alice, project_id=project.id, slug="bob", role=Role.MEMBER)
        portal = lab.portal()
        async with portal.running():
            launch = Launch(project_id=project.id, catalog="ide", chart="notebook")
            service = await portal.services.launch(user_id=lab.bob.id, launch=launch)
            await portal.until(service.id, State.READY)
            with pytest.raises(errors.Forbidden):
                await portal.services.grounds.archive(by=lab.bob, project_id=project.id)
            await portal.services.grounds.archive(by=lab.alice, project_id=project.id)
            stopped = await portal.until(service.id, State.STOPPED)
            assert stopped.expires_at is None, "it is kept for as long as the project is closed"
            assert lab.belongings.alive == set()
            with pytest.raises(errors.Forbidden, match="archived"):
                await portal.services.launch(user_id=lab.bob.id, launch=launch)
            with pytest.raises(errors.Forbidden, match="archived"):
                await portal.services.resume(user_id=lab.bob.id, service_id=service.id)
            await portal.services.grounds.reopen(by=lab.alice, project_id=project.id)
            kept = (await portal.get(service.id)).expires_at
            assert kept == lab.clock.now() + timedelta(days=lab.settings.kept_days)
            await portal.services.resume(user_id=lab.bob.id, service_id=service.id)
            await portal.until(service.id, State.READY)
            assert len(lab.belongings.alive) == 1


async def test_a_portal_that_was_killed_before_it_stopped_them_stops_them_when_it_starts(tmp_path: Path) -> None:
    async with rooms.lab(tmp_path) as lab:
        project = await lab.identity.projects.create(by=lab.alice, name="Prices")
        first = lab.portal()
        async with first.running():
            launch = Launch(project_id=project.id, catalog="ide", chart="notebook")
            service = await first.services.launch(user_id=lab.alice.id, launch=launch)
            await first.until(service.id, State.READY)
        await lab.identity.projects.archive(by=lab.alice, project_id=project.id)
        second = lab.portal()
        async with second.running():
            await second.until(service.id, State.STOPPED)
