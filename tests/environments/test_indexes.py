from pathlib import Path

import pytest

from etabli.environments import indexes
from etabli.environments.models import Reach


def reach(tmp_path: Path, environ: dict[str, str] | None = None, *, services: bool = False) -> Reach:
    """What is set in `environ` and in the files under `tmp_path` (`etc/`, and a home)."""
    found = indexes.read({"HOME": str(tmp_path / "home"), **(environ or {})}, system=tmp_path / "etc")
    return indexes.for_services(found) if services else indexes.for_builds(found)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_nothing_set_leaves_the_tools_their_defaults(tmp_path: Path) -> None:
    assert reach(tmp_path) == Reach(variables={"UV_SYSTEM_CERTS": "true"})
    assert reach(tmp_path, services=True) == Reach()


@pytest.mark.parametrize(
    "path", ["etc/pip.conf", "home/.config/pip/pip.conf", "home/.pip/pip.conf", "etc/xdg/pip/pip.conf"]
)
def test_pip_conf_reaches_uv(tmp_path: Path, path: str) -> None:
    text = "[global]\nindex-url = https://mirror.example/simple\nextra_index_url =\n  https://a.example/s\n  https://b.example/s\n"
    write(tmp_path / path, text + "[install]\ntrusted-host = mirror.example\n")

    found = reach(tmp_path).variables
    assert found["UV_DEFAULT_INDEX"] == found["PIP_INDEX_URL"] == "https://mirror.example/simple"
    assert found["UV_INDEX"] == "https://a.example/s https://b.example/s"
    assert found["UV_INSECURE_HOST"] == "mirror.example"


def test_uv_toml_reaches_pip(tmp_path: Path) -> None:
    text = '[[index]]\nname = "ours"\nurl = "https://ours.example/s"\ndefault = true\n[[index]]\nurl = "https://more.example/s"\n'
    write(tmp_path / "etc/uv/uv.toml", text)

    found = reach(tmp_path).variables
    assert (found["PIP_INDEX_URL"], found["PIP_EXTRA_INDEX_URL"]) == (
        "https://ours.example/s",
        "https://more.example/s",
    )


def test_a_variable_wins_over_a_file_and_uv_over_pip(tmp_path: Path) -> None:
    write(tmp_path / "etc/pip.conf", "[global]\nindex-url = https://file.example/s\n")

    assert (
        reach(tmp_path, {"PIP_INDEX_URL": "https://pip.example/s"}).variables["UV_DEFAULT_INDEX"]
        == "https://pip.example/s"
    )
    both = {"PIP_INDEX_URL": "https://pip.example/s", "UV_DEFAULT_INDEX": "https://uv.example/s"}
    assert reach(tmp_path, both).variables["PIP_INDEX_URL"] == "https://uv.example/s"


def test_a_file_that_cannot_be_read_counts_as_absent(tmp_path: Path) -> None:
    write(tmp_path / "etc/pip.conf", "not a configuration")
    write(tmp_path / "etc/uv/uv.toml", "= nor this")

    assert "UV_DEFAULT_INDEX" not in reach(tmp_path).variables


def test_proxies_are_there_in_both_cases(tmp_path: Path) -> None:
    found = reach(
        tmp_path, {"https_proxy": "http://proxy.example:3128", "NO_PROXY": ".example"}, services=True
    ).variables

    assert found["HTTPS_PROXY"] == found["https_proxy"] == "http://proxy.example:3128"
    assert found["NO_PROXY"] == found["no_proxy"] == ".example"


def test_an_authority_anywhere_is_mounted_and_named_by_every_variable(tmp_path: Path) -> None:
    bundle = write(tmp_path / "corporate.pem", "certificates")

    for variable in indexes.CA_VARIABLES:
        found = reach(tmp_path, {variable: str(bundle)}, services=True)
        assert {found.variables[name] for name in indexes.CA_READERS} == {indexes.CA_INSIDE}
        [mount] = found.mounts
        assert (mount.target, mount.source, mount.read_only) == (indexes.CA_INSIDE, bundle, True)


def test_an_authority_that_sandboxes_see_already_is_not_mounted(tmp_path: Path) -> None:
    path = "/usr/share/ca-certificates"
    found = indexes.for_services(indexes.Indexes(ca=Path(path, "corporate.crt")))

    assert found.mounts == ()
    assert found.variables["SSL_CERT_FILE"] == f"{path}/corporate.crt"


def test_an_authority_that_is_not_there_is_not_named(tmp_path: Path) -> None:
    assert "SSL_CERT_FILE" not in reach(tmp_path, {"SSL_CERT_FILE": str(tmp_path / "absent.pem")}).variables


def test_folders_of_wheels_are_mounted_and_absent_ones_left_out(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    links = f"{tmp_path}/wheels {tmp_path}/absent https://wheels.example/all.html"

    found = reach(tmp_path, {"PIP_FIND_LINKS": links})
    inside = f"{indexes.WHEELS_INSIDE}/0"
    assert found.variables["UV_FIND_LINKS"] == f"{inside},https://wheels.example/all.html"
    assert found.variables["PIP_FIND_LINKS"] == f"{inside} https://wheels.example/all.html"
    assert [mount.source for mount in found.mounts] == [tmp_path / "wheels"]


def test_logins_reach_builds_and_not_services(tmp_path: Path) -> None:
    environ = {
        "PIP_INDEX_URL": "https://me:hunter2@index.example/s",
        "HTTPS_PROXY": "http://me:hunter2@proxy.example:1",
    }

    assert reach(tmp_path, environ).variables["UV_DEFAULT_INDEX"] == environ["PIP_INDEX_URL"]
    inside = reach(tmp_path, environ, services=True).variables
    assert inside["UV_DEFAULT_INDEX"] == "https://index.example/s"
    assert "hunter2" not in str(inside)


def test_logins_are_found_where_uv_and_pip_keep_them(tmp_path: Path) -> None:
    write(
        tmp_path / "home/.netrc", "machine index.example login me password p@ss\ndefault login any password other\n"
    ).chmod(0o600)
    named = {"UV_INDEX": "lab=https://lab.example/s", "UV_INDEX_LAB_USERNAME": "bot", "UV_INDEX_LAB_PASSWORD": "word"}

    found = reach(tmp_path, {"PIP_INDEX_URL": "https://index.example/s", **named}).variables
    assert found["UV_DEFAULT_INDEX"] == "https://me:p%40ss@index.example/s"
    assert found["UV_INDEX"] == "https://bot:word@lab.example/s"
    assert (
        reach(tmp_path, {"PIP_INDEX_URL": "https://else.example/s"}).variables["UV_DEFAULT_INDEX"]
        == "https://else.example/s"
    )


def test_a_masked_text_shows_that_there_was_a_login_and_not_which() -> None:
    assert indexes.masked("GET https://me:hunter2@index.example/s") == "GET https://***@index.example/s"


def test_a_whole_root_sees_none_of_the_machines_files_so_each_is_mounted() -> None:
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    found = indexes.Indexes(ca=bundle)

    assert indexes.for_builds(found).mounts == ()
    [mount] = indexes.for_builds(found, seen_inside=()).mounts
    assert (mount.target, mount.source) == (indexes.CA_INSIDE, bundle.resolve())
