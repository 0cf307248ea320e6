"""Expressions mean what charts that exist rely on."""

import pytest

from etabli.catalog import expressions
from etabli.catalog.expressions import UNDEFINED

CONTEXT = {
    "git": {"name": "Ada", "port": 22, "nothing": None},
    "project": {"id": "ada"},
    "k8s": {"domain": "svc.lab", "randomSubdomain": "42", "useCertManager": False},
    "region": {"from": [{"ns": "a"}, {"ns": "b"}], "customValues": {"a.b": {"c": 1.0}}, "nodeSelector": {"gpu": "yes"}},
    "ratio": 1.5,
    "whole": 12.0,
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("git.name", "Ada"),
        ("{{git.name}}", "Ada"),
        ("{{ git.name }}", "Ada"),
        ("git.port", 22),
        ("{{region.from}}", [{"ns": "a"}, {"ns": "b"}]),
        ("region.from[1].ns", "b"),
        ('region.customValues["a.b"].c', 1.0),
        ("{{region.customValues['a.b'].c}}", 1.0),
        ("{{region.nodeSelector}}", {"gpu": "yes"}),
        ("{{k8s.useCertManager}}", False),
        ("{{git.nothing}}", None),
        ("{{project.id}}-{{k8s.randomSubdomain}}-0.{{k8s.domain}}", "ada-42-0.svc.lab"),
        ("{{k8s.useCertManager}}/{{ratio}}/{{whole}}/{{git.port}}", "false/1.5/12/22"),
        ("x {{git.nothing}}", UNDEFINED),
        ("x {{region.from}}", UNDEFINED),
        ("x {{git.none}}", UNDEFINED),
        ("git.none", UNDEFINED),
        ("no such words", UNDEFINED),
        ("", UNDEFINED),
        (12, UNDEFINED),
        (["git.name", "{{git.name}}", 1, True, None], ["git.name", "Ada", 1, True, None]),
        ({"a": "{{git.port}}", "b": [{"c": "{{project.id}}"}]}, {"a": 22, "b": [{"c": "ada"}]}),
        (["{{git.name}}", "{{git.none}}"], UNDEFINED),
        ({"a": 1, "b": {"c": "{{git.none}}"}}, UNDEFINED),
        ("{{git.name || 'x'}}", UNDEFINED),
    ],
)
def test_an_expression_stands_for_what_charts_expect(expression: object, value: object) -> None:
    found = expressions.resolve(expression, CONTEXT)
    assert found == value
    assert type(found) is type(value)


def test_the_paths_that_an_expression_asks_for_are_told() -> None:
    asked = expressions.references(["{{git.name}}", "literal", {"a": "{{s3.AWS_S3_ENDPOINT}}/{{project.id}}"}])
    assert list(asked) == [("git", "name"), ("s3", "AWS_S3_ENDPOINT"), ("project", "id")]
    assert list(expressions.references("vault.VAULT_ADDR")) == [("vault", "VAULT_ADDR")]
