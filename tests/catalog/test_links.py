"""Launch links say the same here as where they were made."""

import pytest

from etabli.catalog import links
from etabli.catalog.expressions import UNDEFINED

RAW = "https://raw.githubusercontent.com"

# Queries of links that trainings publish, as they are.
TRAININGS: list[tuple[str, str, dict[str, object]]] = [
    (
        "autoLaunch=true&name=python-initiation&init.personalInit=%C2%ABhttps://raw.githubusercontent.com/InseeFrLab/formation-python-initiation/main/utils/init_onyxia.sh%C2%BB&init.personalInitArgs=%C2%ABfr%20manipulation%20pandas%C2%BB&security.allowlist.enabled=false",
        "python-initiation",
        {
            "init.personalInit": f"{RAW}/InseeFrLab/formation-python-initiation/main/utils/init_onyxia.sh",
            "init.personalInitArgs": "fr manipulation pandas",
            "security.allowlist.enabled": False,
        },
    ),
    (
        "autoLaunch=true&name=%C2%AB3_regression%C2%BB&init.personalInit=%C2%ABhttps%3A%2F%2Fraw.githubusercontent.com%2Flinogaliana%2Fpython-datascientist%2Fmain%2Fsspcloud%2Finit-vscode.sh%C2%BB&init.personalInitArgs=%C2%ABmodelisation%203_regression%C2%BB",
        "3_regression",
        {
            "init.personalInit": f"{RAW}/linogaliana/python-datascientist/main/sspcloud/init-vscode.sh",
            "init.personalInitArgs": "modelisation 3_regression",
        },
    ),
    (
        "autoLaunch=true&onyxia.friendlyName=%C2%AB01_numpy%C2%BB&init.personalInitArgs=%C2%ABen/manipulation%2001_numpy%C2%BB&security.allowlist.enabled=false",
        "01_numpy",
        {"init.personalInitArgs": "en/manipulation 01_numpy", "security.allowlist.enabled": False},
    ),
    (
        "autoLaunch=true&init.personalInit=«https://raw.githubusercontent.com/InseeFrLab/spark-formation/main/init-notebook.sh»&vault.secret=«diffusion/spark-lab/6-spark-thrift-server»&vault.directory=«tm8enk»&name=6_spark_thrift_server",
        "6_spark_thrift_server",
        {
            "init.personalInit": f"{RAW}/InseeFrLab/spark-formation/main/init-notebook.sh",
            "vault.secret": "diffusion/spark-lab/6-spark-thrift-server",
            "vault.directory": "tm8enk",
        },
    ),
    (
        "autoLaunch=false&kubernetes.role=%C2%ABadmin%C2%BB&networking.user.enabled=true&git.cache=%C2%AB36000%C2%BB&git.token=%C2%AB%C2%BB&git.repository=%C2%ABhttps%3A%2F%2Fgithub.com%2FInseeFrLab%2Ffunathon2023_sujet4.git%C2%BB",
        "",
        {
            "kubernetes.role": "admin",
            "networking.user.enabled": True,
            "git.cache": "36000",
            "git.token": "",
            "git.repository": "https://github.com/InseeFrLab/funathon2023_sujet4.git",
        },
    ),
    (
        "autoLaunch=true&resources.limits.memory=%C2%AB100Gi%C2%BB&persistence.size=%C2%AB40Gi%C2%BB&init.personalInitArgs=%C2%ABen%C2%BB",
        "",
        {"resources.limits.memory": "100Gi", "persistence.size": "40Gi", "init.personalInitArgs": "en"},
    ),
    (
        "autoLaunch=true&service.image.custom.enabled=true&service.image.custom.version=«inseefrlab%2Fformation-r-lissage-spatial%3Alatest»",
        "",
        {
            "service.image.custom.enabled": True,
            "service.image.custom.version": "inseefrlab/formation-r-lissage-spatial:latest",
        },
    ),
    ("autoLaunch=true", "", {}),
]


@pytest.mark.parametrize(("query", "name", "values"), TRAININGS)
def test_a_trainings_link_says_what_it_always_said(query: str, name: str, values: dict[str, object]) -> None:
    link = links.parse(query)
    assert link.name == name
    assert link.auto_launch == ("autoLaunch=true" in query)
    assert {".".join(map(str, path)): value for path, value in link.changes} == values
    assert link.left_out == ()


@pytest.mark.parametrize(
    ("query", "path", "value"),
    [
        ("a.b=true", ("a", "b"), True),
        ("a.b=null", ("a", "b"), None),
        ("a.b=-", ("a", "b"), UNDEFINED),
        ("a.b=-12.50", ("a", "b"), -12.5),
        ("a.b=12", ("a", "b"), 12),
        ("a.b=40Gi", ("a", "b"), 40),
        ("a.b=%C2%AB%C2%BB", ("a", "b"), ""),
        ("a.b=«true»", ("a", "b"), "true"),
        ("a.b=«1+1 %2B 2»", ("a", "b"), "1+1 + 2"),
        ("a.b=«%C2%ABx%C2%BB»", ("a", "b"), "«x»"),
        ("foo.=true", ("foo",), True),
        ("foo.bar[0].baz=«x»", ("foo", "bar", 0, "baz"), "x"),
        ("spark.userConfig.spark%5C.driver%5C.memory=«5g»", ("spark", "userConfig", "spark.driver.memory"), "5g"),
        (r"spark.userConfig.spark\.driver\.memory=«5g»", ("spark", "userConfig", "spark.driver.memory"), "5g"),
    ],
)
def test_each_way_to_write_a_value_is_read(query: str, path: tuple[str | int, ...], value: object) -> None:
    assert links.parse(query).changes == ((path, value),)


@pytest.mark.parametrize("query", ["a.b=plain", "a.b=", "a..b=1", "surprise=1", "a.b=«open", "a.b=1e999"])
def test_what_cannot_be_read_is_left_out_and_told(query: str) -> None:
    link = links.parse(query)
    assert link.changes == ()
    assert len(link.left_out) == 1


def test_a_damaged_name_still_names() -> None:
    assert links.parse("onyxia.friendlyName=Spellbook-Chap1%C2%BB").name == "Spellbook-Chap1"


def test_a_sign_on_librarys_own_keys_are_passed_over() -> None:
    assert links.parse("oidc-spa.state=1&&=x") == links.Link()


def test_a_link_that_is_written_reads_back() -> None:
    link = links.Link(
        name="l'été & «co» #1",
        version="1.2.3",
        shared=False,
        s3="default",
        auto_launch=True,
        changes=(
            (("init", "personalInit"), "https://x.org/a b?c=d&e=«f»#g+h"),
            (("spark", "spark.driver.memory"), "5g"),
            (("replicas",), 3),
            (("ratio", "a"), 0.5),
            (("git", "enabled"), False),
            (("git", "token"), UNDEFINED),
            (("extraEnvVars", 0, "name"), "A"),
            (("a", "b"), None),
        ),
    )
    written = links.write(link)
    assert written.isascii()
    assert links.parse(written) == link


def test_a_list_is_written_member_by_member() -> None:
    written = links.write(links.Link(changes=((("extraEnvVars",), [{"name": "A", "value": "1"}]),)))
    assert links.parse(written).changes == ((("extraEnvVars", 0, "name"), "A"), (("extraEnvVars", 0, "value"), "1"))


def test_a_query_of_any_length_is_read_in_time() -> None:
    link = links.parse("&".join(f"a.k{n}=1" for n in range(100_000)))
    assert len(link.changes) <= links.MAX_PATCHES + 20
