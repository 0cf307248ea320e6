"""The built-in chart, rendered by Helm: what it makes, that launch links fit it, and that no value breaks out of its place."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from etabli.catalog import errors, links, models, service
from etabli.catalog.service import Catalog, Opening
from tests.catalog import builders

CHART = builders.BUILTIN / "jupyter-python"
HOSTILE = [
    'a"\nkind: Evil\nb: "',
    "'; rm -rf / #",
    "x\n---\nkind: Evil\n",
    "{{ .Release.Name }}",
    "*alias &anchor !!tag",
    "yes",
    "0x1f",
    "null",
    'l\'été \\ "ça" «va» 🚀',
    "trailing \\",
    "# comment: |",
    "\t- tab",
]


async def render(catalog: Catalog, values: dict[str, object] | None = None, *, lang: str = "en") -> models.Rendered:
    return await catalog.render(
        catalog="ide",
        chart="jupyter-python",
        values=values or {},
        context=builders.a_context(lang=lang).tree(),
        release="jupyter-python-abcdefghjk",
        namespace="ada",
    )


def one(rendered: models.Rendered, kind: str) -> Any:
    (found,) = [manifest for manifest in rendered.manifests if manifest["kind"] == kind]
    return found


def kinds(rendered: models.Rendered) -> set[str]:
    return {str(manifest["kind"]) for manifest in rendered.manifests}


def container(rendered: models.Rendered) -> Any:
    (found,) = one(rendered, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    return found


def environment(rendered: models.Rendered) -> dict[str, str]:
    return {item["name"]: item["value"] for item in container(rendered)["env"]}


async def test_the_default_is_one_pod_with_a_home_an_address_and_no_secret(catalog: Catalog) -> None:
    rendered = await render(catalog)
    assert kinds(rendered) == {"ConfigMap", "Ingress", "Service", "ServiceAccount", "StatefulSet"}
    assert rendered.images == ("etabli/jupyter-python",)
    assert rendered.values == {}
    spec = one(rendered, "StatefulSet")["spec"]
    assert spec["replicas"] == 1
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "10Gi"
    assert {mount["mountPath"] for mount in container(rendered)["volumeMounts"]} == {"/home/onyxia", "/opt/start"}
    (rule,) = one(rendered, "Ingress")["spec"]["rules"]
    assert rule["host"] == "ada-abcdefghjk-0.svc.etabli.localhost"
    assert "work" in rendered.notes


async def test_limits_go_up_to_the_machine_and_requests_are_small(catalog: Catalog) -> None:
    resources = container(await render(catalog))["resources"]
    assert resources == {
        "requests": {"cpu": "100m", "memory": "0.5Gi"},
        "limits": {"cpu": "4000m", "memory": "16Gi"},
    }


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"resources": {"limits": {"cpu": "4500m"}}}, "resources.limits.cpu", "must be at most 4 cores"),
        ({"resources": {"limits": {"memory": "100Gi"}}}, "resources.limits.memory", "must be at most 16 GiB"),
        (
            {"resources": {"requests": {"cpu": "3000m"}, "limits": {"cpu": "1000m"}}},
            "resources.requests.cpu",
            "must be at most 1",
        ),
        ({"git": {"repository": "/etc/passwd"}}, "git.repository", "must match"),
        ({"git": {"branch": "--upload-pack=x"}}, "git.branch", "must match"),
        ({"extraEnvVars": [{"name": "A=B", "value": ""}]}, "extraEnvVars[0].name", "must match"),
        (
            {"service": {"image": {"custom": {"enabled": True, "version": "a b"}}}},
            "service.image.custom.version",
            "match",
        ),
        ({"ingress": {"hostname": "portal.etabli.localhost"}}, "ingress.hostname", "not for people to set"),
        ({"global": {"suspend": True}}, "global.suspend", "not for people to set"),
    ],
)
async def test_what_does_not_fit_is_named(catalog: Catalog, values: dict[str, object], field: str, words: str) -> None:
    with pytest.raises(errors.ValuesInvalid) as caught:
        await render(catalog, values)
    assert words in caught.value.fields[field]


async def test_cores_and_memory_may_be_said_as_kubernetes_says_them(catalog: Catalog) -> None:
    rendered = await render(catalog, {"resources": {"limits": {"cpu": 2, "memory": "2048Mi"}}})
    assert container(rendered)["resources"]["limits"] == {"cpu": "2000m", "memory": "2Gi"}


async def test_git_goes_to_the_environment_and_its_token_to_a_secret(catalog: Catalog) -> None:
    git = {"repository": "https://example.org/a.git", "branch": "dev", "token": "t0k"}
    rendered = await render(catalog, {"git": git})
    found = environment(rendered)
    assert (found["GIT_REPOSITORY"], found["GIT_BRANCH"]) == ("https://example.org/a.git", "dev")
    assert found["GIT_USER_MAIL"] == "ada@example.org"
    assert one(rendered, "Secret")["stringData"] == {"GIT_PERSONAL_ACCESS_TOKEN": "t0k"}
    assert container(rendered)["envFrom"] == [{"secretRef": {"name": "jupyter-python-abcdefghjk"}}]
    assert "t0k" not in str(one(rendered, "StatefulSet"))
    assert not [
        name for name in environment(await render(catalog, {"git": {"enabled": False}})) if name.startswith("GIT_")
    ]


async def test_s3_is_the_labs_unless_it_is_off_or_another(catalog: Catalog) -> None:
    assert not [name for name in environment(await render(catalog)) if name.startswith("AWS_")]
    off = environment(await render(catalog, {"s3": {"enabled": False}}))
    assert off["ETABLI_WITHOUT_S3"] == "true"
    other = {"accessKeyId": "k", "secretAccessKey": "s", "endpoint": "minio.example.org", "defaultRegion": "eu-1"}
    assert one(await render(catalog, {"s3": other}), "Secret")["stringData"] == {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_ENDPOINT_URL_S3": "https://minio.example.org",
        "AWS_S3_ENDPOINT": "minio.example.org",
        "AWS_DEFAULT_REGION": "eu-1",
        "AWS_REGION": "eu-1",
    }


async def test_the_vault_is_there_unless_it_is_off(catalog: Catalog) -> None:
    found = environment(await render(catalog, {"vault": {"secret": "db"}}))
    assert (found["VAULT_MOUNT"], found["VAULT_TOP_DIR"], found["VAULT_RELATIVE_PATH"]) == ("kv", "ada", "db")
    assert "VAULT_TOKEN" not in found
    off = environment(await render(catalog, {"vault": {"enabled": False}}))
    assert off["ETABLI_WITHOUT_VAULT"] == "true"
    assert "VAULT_MOUNT" not in off


async def test_a_port_of_ones_own_has_an_address_of_its_own(catalog: Catalog) -> None:
    rendered = await render(catalog, {"networking": {"user": {"enabled": True, "port": 7860}}})
    hosts = [rule["host"] for rule in one(rendered, "Ingress")["spec"]["rules"]]
    assert hosts == ["ada-abcdefghjk-0.svc.etabli.localhost", "ada-abcdefghjk-user.svc.etabli.localhost"]
    assert [port["port"] for port in one(rendered, "Service")["spec"]["ports"]] == [8888, 7860]


async def test_without_persistence_the_home_goes_with_the_pod(catalog: Catalog) -> None:
    spec = one(await render(catalog, {"persistence": {"enabled": False}}), "StatefulSet")["spec"]
    assert "volumeClaimTemplates" not in spec
    assert {"name": "home", "emptyDir": {}} in spec["template"]["spec"]["volumes"]


async def test_rights_and_a_network_policy_are_there_when_asked(catalog: Catalog) -> None:
    asked = {"kubernetes": {"enabled": True, "role": "edit"}, "security": {"networkPolicy": {"enabled": True}}}
    rendered = await render(catalog, asked)
    assert one(rendered, "RoleBinding")["roleRef"]["name"] == "edit"
    assert one(rendered, "NetworkPolicy")["spec"]["policyTypes"] == ["Ingress"]


@pytest.mark.parametrize(("lang", "word"), [("en", "Start here"), ("fr", "Pour commencer"), ("de", "Start here")])
async def test_the_notebook_and_the_notes_are_in_the_persons_language(catalog: Catalog, lang: str, word: str) -> None:
    rendered = await render(catalog, lang=lang)
    notebook = json.loads(one(rendered, "ConfigMap")["data"]["start-here.ipynb"])
    assert word in notebook["cells"][0]["source"][0]
    assert ("démarre" in rendered.notes) == (lang == "fr")


def text_fields(opening: Opening) -> list[tuple[str | int, ...]]:
    return [field.path for field in opening.form.fields() if isinstance(field.value, str)]


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_text_breaks_out_of_its_place(catalog: Catalog, text: str) -> None:
    """Every free text of the form at once: it reaches the manifests as that text, or is refused by name."""
    free = [
        "git.name",
        "git.email",
        "init.personalInitArgs",
        "vault.directory",
        "vault.secret",
        "git.token",
        "s3.secretAccessKey",
    ]
    values: dict[str, Any] = {"s3": {"accessKeyId": text}, "extraEnvVars": [{"name": "MINE", "value": text}]}
    for name in free:
        group, key = name.split(".")
        values.setdefault(group, {})[key] = text
    rendered = await render(catalog, values)
    found = environment(rendered)
    assert kinds(rendered) == {"ConfigMap", "Ingress", "Secret", "Service", "ServiceAccount", "StatefulSet"}
    for name in (
        "MINE",
        "GIT_USER_NAME",
        "GIT_USER_MAIL",
        "PERSONAL_INIT_ARGS",
        "VAULT_TOP_DIR",
        "VAULT_RELATIVE_PATH",
    ):
        assert found[name] == text
    assert set(one(rendered, "Secret")["stringData"].values()) == {text}


async def test_every_text_of_the_form_takes_hostile_text_as_text_or_refuses_it(catalog: Catalog) -> None:
    ask: dict[str, Any] = {"catalog": "ide", "chart": "jupyter-python", "context": builders.a_context().tree()}
    opening = await catalog.open(**ask)
    for path in text_fields(opening):
        changed = await catalog.open(**ask, changes=[(path, HOSTILE[0])])
        if changed.left_out or changed.problems:
            continue
        rendered = await render(catalog, changed.changes)
        assert "Evil" not in {str(manifest["kind"]) for manifest in rendered.manifests}


LINKS = [
    "autoLaunch=true&name=python-initiation&init.personalInit=%C2%ABhttps://raw.githubusercontent.com/InseeFrLab/formation-python-initiation/main/utils/init_onyxia.sh%C2%BB&init.personalInitArgs=%C2%ABfr%20manipulation%20pandas%C2%BB&security.allowlist.enabled=false",
    "autoLaunch=true&init.personalInit=«https%3A%2F%2Fgit.lab.sspcloud.fr%2Ftm8enk%2Finit%2F-%2Fraw%2Fmain%2Finit.sh»&init.personalInitArgs=«https%3A%2F%2Fgithub.com%2Fetalab-ia%2Fami-ia%20session2%2Foutils_du_datascientist.ipynb»&name=outils&git.enabled=false&s3.enabled=false&discovery.hive=false&discovery.mlflow=false&vault.enabled=false",
    "autoLaunch=false&kubernetes.role=%C2%ABadmin%C2%BB&networking.user.enabled=true&git.cache=%C2%AB36000%C2%BB&init.personalInit=%C2%ABhttps%3A%2F%2Fraw.githubusercontent.com%2FInseeFrLab%2Ffunathon2023_sujet4%2Fmain%2Finit.sh%C2%BB&git.token=%C2%AB%C2%BB&git.repository=%C2%ABhttps%3A%2F%2Fgithub.com%2FInseeFrLab%2Ffunathon2023_sujet4.git%C2%BB",
]


@pytest.mark.parametrize(
    ("query", "left_out", "seen"),
    [
        (LINKS[0], {"security.allowlist.enabled"}, {"PERSONAL_INIT_ARGS": "fr manipulation pandas"}),
        (
            LINKS[1],
            {"discovery.hive", "discovery.mlflow"},
            {"ETABLI_WITHOUT_S3": "true", "ETABLI_WITHOUT_VAULT": "true"},
        ),
        (LINKS[2], set(), {"GIT_CREDENTIALS_CACHE_DURATION": "36000"}),
    ],
)
async def test_links_of_trainings_fit(catalog: Catalog, query: str, left_out: set[str], seen: dict[str, str]) -> None:
    opening = await catalog.open(
        catalog="ide", chart="jupyter-python", context=builders.a_context().tree(), changes=links.parse(query).changes
    )
    assert {item.name for item in opening.left_out} == left_out
    assert opening.problems == {}
    found = environment(await render(catalog, opening.changes))
    assert {name: found[name] for name in seen} == seen


def test_helm_has_nothing_to_say_against_the_chart() -> None:
    # In a process of its own: Helm starts threads where it is loaded.
    lint = "import helm_python, json, sys; print(json.dumps(helm_python.lint(sys.argv[1], strict=True)))"
    report = json.loads(subprocess.run([sys.executable, "-c", lint, CHART], check=True, capture_output=True).stdout)
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > 1] == []


def undescribed(schema: Any, path: str = "") -> list[str]:
    """Where a description has no French."""
    french = schema.get("x-etabli", {}).get("fr", {})
    found = [path] if schema.get("description") and "description" not in french else []
    for key, inner in schema.get("properties", {}).items():
        found += undescribed(inner, f"{path}.{key}")
    return found + (undescribed(schema["items"], f"{path}[]") if isinstance(schema.get("items"), dict) else [])


def test_the_form_is_in_french_too() -> None:
    for path in [CHART / "values.schema.json", *service.REGISTRY.rglob("*.json")]:
        assert undescribed(json.loads(path.read_text())) == [], path.name


async def test_the_chart_says_what_it_is_in_french_too(catalog: Catalog) -> None:
    (listing,) = await catalog.listings()
    assert "avec Python" in listing.entries[0].latest.description_in("fr")
    assert "with Python" in listing.entries[0].latest.description_in("de")


def test_notebooks_are_whole_and_name_no_endpoint_key_or_option() -> None:
    for path in sorted(Path(CHART / "files").glob("*.ipynb")):
        code = "\n".join(
            "".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"
        )
        compile(code, path.name, "exec")
        assert not {"endpoint", "key_id", "secret", "storage_options", "http"} & set(
            code.lower().replace("=", " ").split()
        )
        for tool in ("pandas", "polars", "duckdb", "s3fs", "boto3", "to_parquet"):
            assert tool in code
