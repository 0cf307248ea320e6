"""The context has the names that charts use, and never a token."""

from typing import Any

from etabli.catalog import context
from etabli.engines import contract
from tests.catalog import builders


def test_the_context_has_the_names_that_charts_use() -> None:
    tree = builders.a_context().tree()
    assert tree["vault"] == {"VAULT_ADDR": "http://vault.etabli.localhost", "VAULT_MOUNT": "kv", "VAULT_TOP_DIR": "ada"}
    assert tree["git"]["credentials_cache_duration"] == 3600  # type: ignore[index]
    assert tree["s3"]["AWS_DEFAULT_REGION"] == "eu-west-3"  # type: ignore[index]
    assert tree["k8s"]["randomSubdomain"] == "abcdefghjk"  # type: ignore[index]
    assert tree["user"]["darkMode"] is False  # type: ignore[index]


def test_what_is_not_known_is_left_out_rather_than_empty() -> None:
    tree = context.Context().tree()
    assert "vault" not in tree
    assert "s3" not in tree
    assert "email" not in tree["user"]  # type: ignore[operator]


def test_tokens_are_always_empty_and_cannot_be_given() -> None:
    user = builders.a_context().tree()["user"]
    assert user["accessToken"] == user["refreshToken"] == ""  # type: ignore[index]
    names = {field.name for field in context.User.__dataclass_fields__.values() if field.init}
    assert not {name for name in names if "token" in name} - {"decoded_id_token"}


def test_each_launch_has_a_password_of_its_own() -> None:
    passwords = {str(context.Context().tree()["service"]) for _ in range(5)}
    assert len(passwords) == 5


def test_basic_is_told_from_project_and_password() -> None:
    project = context.with_basic(context.Project(id="ada", password="p"))
    assert project.basic == "YWRhOnA="


def test_a_form_offers_what_the_engine_has() -> None:
    tree = context.Context(region=context.region_of(contract.Resources(cpu=2, memory_bytes=7 * 2**30 + 2**28))).tree()
    region: Any = tree["region"]
    assert region["resources"]["cpuLimit"] == "2000m"
    assert region["resources"]["memoryLimit"] == "7Gi"
    assert region["sliders"]["memory"] == {"sliderMin": 0.5, "sliderMax": 7.0, "sliderStep": 0.5, "sliderUnit": "Gi"}
