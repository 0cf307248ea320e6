"""YAML is read as Helm reads it, and never more than it is worth."""

import pytest

from etabli.catalog import yamls


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 2026-01-01", "2026-01-01"),
        ("a: 12:30:45", "12:30:45"),
        ("a: yes", True),
        ("a: off", False),
        ("a: y", True),
        ("a: 010", 8),
        ("a: 0x1F", 31),
        ("a: 1e3", 1000.0),
        ("a: 1_000", "1_000"),
        ("a: 1.2.3", "1.2.3"),
        ("a: ~", None),
        ("a:", None),
        ("a: =", "="),
        ("a: 'yes'", "yes"),
        ("a: 0.5Gi", "0.5Gi"),
        ("a: !!str 12", "12"),
    ],
)
def test_plain_values_are_what_helm_takes_them_for(text: str, value: object) -> None:
    found = yamls.load(text)
    assert found == {"a": value}
    assert type(found["a"]) is type(value)  # type: ignore[index]


def test_aliases_and_merges_of_ordinary_size_are_written_out() -> None:
    assert yamls.load("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}") == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}


def test_keys_are_text_as_in_json() -> None:
    assert yamls.load("2: a\ntrue: b\nnull: c") == {"2": "a", "true": "b", "null": "c"}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
    f"{name}: &{name} [{','.join([f'*{chr(ord(name) - 1)}'] * 9)}]" for name in "bcdefghi"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "aliases"),
        ("a: &a [*a]", "itself"),
        ("[" * 100 + "]" * 100, "nested"),
        ("a: !!python/object/apply:os.system [id]", "not YAML"),
        ("a: [1", "line"),
        ("a: 1\n---\nb: 2", "more than one"),
        ("a: " + "9" * 5000, "too large"),
        ("a: 1e999", "too large"),
        ("? [a, b]\n: c", "key|not YAML"),
        (b"a: \xff", "UTF-8"),
        ("x" * (yamls.MAX_CHARACTERS + 1), "longer"),
    ],
)
def test_yaml_that_is_too_much_is_refused_with_a_reason(text: str | bytes, words: str) -> None:
    with pytest.raises(yamls.Malformed, match=words):
        yamls.load(text)


def test_a_refusal_never_quotes_the_text() -> None:
    with pytest.raises(yamls.Malformed) as caught:
        yamls.load("password: hunter2: [")
    assert "hunter2" not in str(caught.value)
