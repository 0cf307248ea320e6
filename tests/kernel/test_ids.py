"""Ids and slugs."""

import pytest

from etabli.kernel import errors, ids


def test_ids_are_fit_for_a_host_label_and_differ() -> None:
    made = {ids.new_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(one) == ids.ID_LENGTH and one[0].isalpha() and one.isalnum() and one == one.lower() for one in made)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Élodie Dupont", "elodie-dupont"),
        ("  O'Brien & fils ", "o-brien-fils"),
        ("北京", "person"),
        ("*", "person"),
        ("a" * 100, "a" * 40),
        ("admin", "person"),
        ("../bob", "bob"),
    ],
)
def test_a_name_becomes_a_slug_that_no_policy_reads_as_a_wildcard(text: str, slug: str) -> None:
    assert ids.slugify(text, fallback="person") == slug


@pytest.mark.parametrize(
    "text", ["", "ab", "*", "a/*", "Alice", "a--b", "-ab", "ab-", "élodie", "a" * 41, "root", "a b", "abc\n"]
)
def test_what_is_no_slug_is_refused_by_name(text: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        ids.check_slug(text)
    assert "slug" in caught.value.fields
