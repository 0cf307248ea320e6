"""What a running service proves itself with."""

import pytest

from etabli.identity import models
from etabli.kernel import errors
from tests.identity.lab import Lab


@pytest.fixture
async def project(lab: Lab, admin: models.User) -> models.Project:
    return await lab.identity.projects.create(by=admin, name="Flights")


async def test_a_token_names_its_service_on_its_project_s_ground(lab: Lab, project: models.Project) -> None:
    token = await lab.identity.service_tokens.issue(service_id="svc1", project_id=project.id)
    found = await lab.identity.service_tokens.check(token=token, project_id=project.id)
    assert (found.service_id, found.project) == ("svc1", project)
    assert "\n" not in token


async def test_a_token_of_another_project_buys_nothing(lab: Lab, admin: models.User, project: models.Project) -> None:
    own = await lab.identity.projects.personal(user_id=admin.id)
    token = await lab.identity.service_tokens.issue(service_id="svc1", project_id=project.id)
    with pytest.raises(errors.NotFound):
        await lab.identity.service_tokens.check(token=token, project_id=own.id)


async def test_a_token_ends_with_its_service(lab: Lab, project: models.Project) -> None:
    token = await lab.identity.service_tokens.issue(service_id="svc1", project_id=project.id)
    await lab.identity.service_tokens.end(service_id="svc1")
    await lab.identity.service_tokens.end(service_id="svc1")
    await lab.identity.service_tokens.end(service_id="never")
    with pytest.raises(errors.NotFound):
        await lab.identity.service_tokens.check(token=token, project_id=project.id)


async def test_a_service_that_starts_again_has_one_token_the_newest(lab: Lab, project: models.Project) -> None:
    old = await lab.identity.service_tokens.issue(service_id="svc1", project_id=project.id)
    await lab.identity.service_tokens.end(service_id="svc1")
    new = await lab.identity.service_tokens.issue(service_id="svc1", project_id=project.id)
    with pytest.raises(errors.NotFound):
        await lab.identity.service_tokens.check(token=old, project_id=project.id)
    assert await lab.identity.service_tokens.check(token=new, project_id=project.id)


async def test_a_service_never_moves_to_another_project(lab: Lab, admin: models.User, project: models.Project) -> None:
    own = await lab.identity.projects.personal(user_id=admin.id)
    await lab.identity.service_tokens.issue(service_id="svc1", project_id=project.id)
    with pytest.raises(errors.Conflict):
        await lab.identity.service_tokens.issue(service_id="svc1", project_id=own.id)


async def test_an_archived_project_s_services_prove_nothing(
    lab: Lab, admin: models.User, project: models.Project
) -> None:
    token = await lab.identity.service_tokens.issue(service_id="svc1", project_id=project.id)
    await lab.identity.projects.archive(by=admin, project_id=project.id)
    with pytest.raises(errors.NotFound):
        await lab.identity.service_tokens.check(token=token, project_id=project.id)
    with pytest.raises(errors.Forbidden):
        await lab.identity.service_tokens.issue(service_id="svc2", project_id=project.id)
