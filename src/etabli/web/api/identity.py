"""Who asks."""

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
        projects=[answers.project(access) for access in found.accesses],
    )
