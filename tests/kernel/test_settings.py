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
    layout = settings.default_layout({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")})
    layout.make()
    assert layout.data == tmp_path / ".local/share/etabli"
    assert all(folder.stat().st_mode & 0o777 == 0o700 for folder in (layout.data, layout.run, layout.keys))
    short = settings.default_layout({"HOME": "/home/somebody/with/a/rather/long/home"})
    assert len(str(short.socket("authoriser"))) < 108
