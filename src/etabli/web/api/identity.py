"""Who asks, and their projects."""

from etabli.identity import models
from etabli.web.api import answers, shared
from etabli.web.visitors import Person

router = shared.router("identity")


@router.get("/me")
async def me(found: Person) -> answers.Me:
    """Who I am, and the projects I am in."""
    user = found.user
    return answers.Me(
        id=user.id,
        slug=user.slug,
        name=user.name,
        email=user.email,
        is_admin=user.is_admin,
        language=user.language,
        csrf=None if found.is_operator else found.csrf,
        projects=[_project(access) for access in found.accesses],
    )


@router.get("/projects")
async def projects(found: Person) -> list[answers.ProjectAnswer]:
    """The projects I am in, my own first."""
    return [_project(access) for access in found.accesses]


def _project(access: models.Access) -> answers.ProjectAnswer:
    project = access.project
    return answers.ProjectAnswer(
        id=project.id, slug=project.slug, name=project.name, kind=project.kind.value, role=access.role.value
    )
