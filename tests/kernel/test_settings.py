"""Settings and folders."""

from pathlib import Path

import pytest

from etabli.kernel import errors, settings


def test_origins_leave_out_a_schemes_own_port() -> None:
    assert settings.LabSettings().origin == "http://etabli.localhost:8000"
    lab = settings.LabSettings(domain="lab.example.org", port=443, https=True)
    assert (lab.origin, lab.s3_origin) == ("https://lab.example.org", "https://s3.lab.example.org")
    assert lab.services_domain == "svc.lab.example.org"


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / settings.FILE_NAME
    path.write_text("[lab]\ndomian = 'x'\n")
    with pytest.raises(errors.Invalid, match=r"`lab\.domian`"):
        settings.section(settings.LabSettings, settings.read(path), "lab")


def test_what_is_not_toml_is_said(tmp_path: Path) -> None:
    path = tmp_path / settings.FILE_NAME
    path.write_text("[lab\n")
    with pytest.raises(errors.Invalid, match="is not TOML"):
        settings.read(path)
    assert settings.read(tmp_path / "absent") == {}


def test_folders_are_private_and_sockets_short_enough(tmp_path: Path) -> None:
    layout = settings.default_layout({"HOME": "/home/ada", "XDG_RUNTIME_DIR": "/run/user/1000"})
    assert (str(layout.data), str(layout.run)) == ("/home/ada/.local/share/etabli", "/home/ada/.local/share/etabli/run")
    long = settings.default_layout({"HOME": "/home/" + "a-rather-long-home/" * 4})
    assert len(str(long.upstreams / ("k" * 32))) < 108
    made = settings.Layout(data=tmp_path / "data", run=tmp_path / "run")
    made.make()
    assert all(folder.stat().st_mode & 0o777 == 0o700 for folder in (made.data, made.run, made.keys))
