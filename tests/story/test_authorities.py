"""Which authorities the services of a lab trust, from the lab's settings and the files of a machine."""

from pathlib import Path

import pytest

from etabli.assembly.authorities import SYSTEM, Trust
from etabli.components import caddy
from etabli.components.settings import FrontDoorSettings
from etabli.kernel import errors
from etabli.kernel.settings import LabSettings, Layout
from etabli.services.ports import Authorities

HTTPS = LabSettings(domain="lab.example.org", port=8443, https=True)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(data=tmp_path / "data", run=tmp_path / "run")


def _signed(layout: Layout, text: str) -> None:
    root = caddy.root_certificate(layout)
    root.parent.mkdir(parents=True, exist_ok=True)
    root.write_text(text)


def test_a_plain_lab_gives_nothing_where_the_administrator_named_no_authority(layout: Layout) -> None:
    assert Trust(layout, LabSettings(), FrontDoorSettings(), None).read() == Authorities()


def test_a_list_that_services_see_by_themselves_is_named_and_not_copied(layout: Layout) -> None:
    trusted = Trust(layout, LabSettings(), FrontDoorSettings(), SYSTEM[0]).read()
    assert (trusted.pem, trusted.system) == ("", str(SYSTEM[0]))
    assert "REQUESTS_CA_BUNDLE" in trusted.variables


def test_an_administrators_own_authority_and_the_labs_are_added_to_the_public_ones(
    layout: Layout, tmp_path: Path
) -> None:
    own = tmp_path / "institution.pem"
    own.write_text("the institution's")
    _signed(layout, "the lab's")
    pem = Trust(layout, HTTPS, FrontDoorSettings(), own).read().pem
    assert pem.endswith("the institution's\n\nthe lab's\n")
    assert (
        "AWS_CA_BUNDLE" not in Trust(layout, HTTPS, FrontDoorSettings(), own).read().variables
    )  # rclone 1.60 fails where it is set.
    if SYSTEM[0].exists():
        assert pem.startswith(SYSTEM[0].read_text().strip())


def test_another_root_is_trusted_at_the_next_start_and_none_at_all_is_waited_for(layout: Layout) -> None:
    trust = Trust(layout, HTTPS, FrontDoorSettings(), None)
    with pytest.raises(errors.Unavailable, match=r"root\.crt"):
        trust.read()
    for root in ("the first", "the second"):
        _signed(layout, root)
        assert trust.read().pem.endswith(f"{root}\n")


def test_public_certificates_need_nothing(layout: Layout) -> None:
    assert Trust(layout, HTTPS, FrontDoorSettings(certificates="on-demand"), None).read() == Authorities()
