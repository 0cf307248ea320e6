"""What is checked of an account, and the slugs that people get."""

import pytest

from etabli.identity import accounts, models
from etabli.identity.passwords import Passwords
from etabli.kernel import errors, ids
from tests.identity.lab import CHEAP, PASSWORD, Lab


def problems(**changes: str) -> set[str]:
    form = accounts.Form(**{"name": "Bob", "password": PASSWORD, **changes})
    try:
        accounts.checked(form, passwords=Passwords(CHEAP))
    except errors.Invalid as error:
        return set(error.fields)
    return set()


@pytest.mark.parametrize(
    "name", ['O\'Brien "Bob" <b>', "محمد", "李", "👩‍🔬 Zoé", "x" * 100, "Nuñez‑García", "a\u0301", "*"]
)
def test_a_display_name_is_free(name: str) -> None:
    assert problems(name=name) == set()


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "x" * 10_000, "a\x00b", "a\u202eb", "\ud800"])
def test_a_name_that_cannot_be_shown_is_refused_by_field(name: str) -> None:
    assert problems(name=name) == {"name"}


@pytest.mark.parametrize("email", ["bob", "a@b", "a b@example.org", "a@example.org\nBcc: x", "@example.org", "x" * 255])
def test_what_is_no_e_mail_is_refused_by_field(email: str) -> None:
    assert problems(email=email) == {"email"}


@pytest.mark.parametrize("password", ["short", "x" * 513, "ada@example.org"])
def test_a_password_that_will_not_do_is_refused_by_field(password: str) -> None:
    assert problems(password=password, email="ada@example.org") == {"password"}


@pytest.mark.parametrize("slug", ["*", "Bob", "a/b", "bob--x", "-bob", "admin", "é" * 5, "x" * 41])
def test_a_slug_that_a_policy_could_misread_is_refused_by_field(slug: str) -> None:
    assert problems(slug=slug) == {"slug"}


@pytest.mark.parametrize("name", ["*", "李", "محمد", "admin", "é", "../etc", "x" * 100, "a" * 38 + "é b", "👩‍🔬"])
async def test_any_name_gives_a_slug_that_policies_read_as_one_name(lab: Lab, admin: models.User, name: str) -> None:
    slugs = [(await lab.person(name, by=admin)).slug for _ in range(3)]
    assert all(ids.is_slug(slug) for slug in slugs)
    assert len(set(slugs)) == 3


async def test_persons_and_projects_share_one_namespace_and_no_slug_comes_back(lab: Lab, admin: models.User) -> None:
    project = await lab.identity.projects.create(by=admin, name="Flights")
    await lab.identity.projects.archive(by=admin, project_id=project.id)
    assert (await lab.identity.projects.create(by=admin, name="Flights")).slug == "flights-2"
    assert (await lab.person("Flights", by=admin)).slug == "flights-3"
    with pytest.raises(errors.Conflict):
        await lab.identity.projects.create(by=admin, name="Mine", slug="ada-lovelace")
