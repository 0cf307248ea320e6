"""Terms of use: published once, accepted by version, asked again when they change, and read from files at start."""

import asyncio
from pathlib import Path

import pytest

from etabli.identity import models
from etabli.kernel import errors
from tests.identity.lab import Lab

TEXTS = {"en": "# Terms\n\nBe kind.\n", "fr": "# Conditions\n\nSoyez aimable.\n"}


async def published(lab: Lab, admin: models.User, **texts: str) -> models.Terms:
    return await lab.identity.terms.publish(by=admin, texts=texts or TEXTS)


async def test_who_accepted_is_asked_again_only_when_the_terms_change(lab: Lab, admin: models.User) -> None:
    assert not await lab.identity.terms.is_due(user_id=admin.id)
    first = await published(lab, admin)
    assert await lab.identity.terms.is_due(user_id=admin.id)
    await lab.identity.terms.accept(user=admin, version=first.version)
    assert not await lab.identity.terms.is_due(user_id=admin.id)
    assert (await published(lab, admin)).version == first.version  # The same again asks nobody.
    assert not await lab.identity.terms.is_due(user_id=admin.id)
    second = await published(lab, admin, en="Be kinder.")
    assert (first.version, second.version) == (1, 2)
    assert await lab.identity.terms.is_due(user_id=admin.id)
    with pytest.raises(errors.Conflict):
        await lab.identity.terms.accept(user=admin, version=first.version)
    await lab.identity.terms.accept(user=admin, version=second.version)
    accepted = await lab.identity.terms.acceptances(by=admin)
    assert {(one.slug, one.version, one.accepted_at) for one in accepted} == {
        (admin.slug, 1, lab.clock.now()),
        (admin.slug, 2, lab.clock.now()),
    }


async def test_an_acceptance_outlives_a_restart_and_counts_once(lab: Lab, admin: models.User) -> None:
    held = await published(lab, admin)
    sent = [lab.identity.terms.accept(user=admin, version=held.version) for _ in range(5)]
    await asyncio.gather(*sent)
    again = await lab.restarted()
    assert again.terms.current == held
    assert not await again.terms.is_due(user_id=admin.id)
    ((_, accepted),) = await again.terms.versions(by=admin)
    assert accepted == 1


async def test_terms_taken_back_are_asked_of_nobody_and_kept(lab: Lab, admin: models.User) -> None:
    held = await published(lab, admin)
    await lab.identity.terms.withdraw(by=admin)
    assert lab.identity.terms.current is None
    assert not await lab.identity.terms.is_due(user_id=admin.id)
    ((kept, _),) = await lab.identity.terms.versions(by=admin)
    assert (kept.texts, kept.withdrawn_at) == (held.texts, lab.clock.now())
    assert (await published(lab, admin)).version == 2


async def test_another_portal_learns_of_new_terms_within_a_sweep(lab: Lab, admin: models.User) -> None:
    other = await lab.restarted()
    await published(lab, admin)
    await other.sweep()
    assert other.terms.current == lab.identity.terms.current
    assert await other.terms.is_due(user_id=admin.id)


async def test_files_are_published_at_start_where_they_say_something_new(lab: Lab, admin: models.User) -> None:
    folder = lab.layout.data / "branding"
    write(folder, en="# Terms\r\n\r\nBe kind.\r\n", fr=TEXTS["fr"])
    first = (await lab.restarted()).terms.current
    assert first is not None
    assert (first.version, first.texts) == (1, TEXTS)
    assert first.text("fr") == ("fr", TEXTS["fr"])
    assert first.text("de") == ("en", TEXTS["en"])
    identity = await lab.restarted()
    assert identity.terms.current == first
    await identity.terms.publish(by=admin, texts={"en": "By an administrator."})
    identity = (
        await lab.restarted()
    )  # What an administrator published since is not undone by files that did not change.
    assert identity.terms.current is not None
    assert identity.terms.current.version == 2
    write(folder, en="Be kinder.")
    identity = await lab.restarted()
    assert identity.terms.current is not None
    assert (identity.terms.current.version, identity.terms.current.texts["en"]) == (3, "Be kinder.\n")


@pytest.mark.parametrize(
    ("name", "text"), [("terms.english!.md", "x"), ("terms.en.md", " "), ("terms.en.md", "x" * 200_000)]
)
async def test_a_file_that_will_not_do_is_named(lab: Lab, name: str, text: str) -> None:
    folder = lab.layout.data / "branding"
    folder.mkdir()
    (folder / name).write_text(text)
    with pytest.raises(errors.Invalid) as refused:
        await lab.restarted()
    assert f"`{name}`" in refused.value.message


@pytest.mark.parametrize("texts", [{}, {"en": " \n"}, {"en": "x" * 200_000}, {"x!": "text"}])
async def test_texts_that_will_not_do_are_refused_by_language(
    lab: Lab, admin: models.User, texts: dict[str, str]
) -> None:
    with pytest.raises(errors.Invalid) as refused:
        await lab.identity.terms.publish(by=admin, texts=texts)
    assert refused.value.fields
    assert lab.identity.terms.current is None


async def test_only_administrators_publish_and_see_who_accepted(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    for refused in (
        lab.identity.terms.publish(by=bob, texts=TEXTS),
        lab.identity.terms.withdraw(by=bob),
        lab.identity.terms.versions(by=bob),
        lab.identity.terms.acceptances(by=bob),
    ):
        with pytest.raises(errors.Forbidden):
            await refused


async def test_two_who_publish_at_once_make_two_versions_or_one_is_told(lab: Lab, admin: models.User) -> None:
    sent = [published(lab, admin, en=f"number {number}") for number in range(5)]
    answers = await asyncio.gather(*sent, return_exceptions=True)
    made = [one.version for one in answers if isinstance(one, models.Terms)]
    assert sorted(made) == list(range(1, len(made) + 1))
    assert all(isinstance(one, models.Terms | errors.Conflict) for one in answers)


def write(folder: Path, **texts: str) -> None:
    folder.mkdir(exist_ok=True)
    for language, text in texts.items():
        (folder / f"terms.{language}.md").write_bytes(text.encode())
