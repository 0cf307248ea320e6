"""An institution's own accent, logo, words and links: read while the lab runs, never at the price of a page."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from etabli.identity import models
from etabli.kernel import errors
from etabli.kernel.clock import ManualClock
from etabli.web import app as web
from etabli.web import branding, colours
from etabli.web.branding import Branding
from tests.web.lab import Door, Lab

LATER = timedelta(seconds=3)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><rect width="10" height="10"/></svg>'
TOML = """
[branding]
accent = "#1f6f54"
contact = "help@example.org"
[[branding.header]]
text = { en = "Trainings", fr = "Formations" }
url = "https://example.org/t"
"""


def written(folder: Path, *, toml: str = TOML, **files: str) -> Branding:
    """A branding over these files."""
    (folder / "branding").mkdir(exist_ok=True)
    (folder / "etabli.toml").write_text(toml)
    for name, text in files.items():
        (folder / "branding" / name.replace("_", ".")).write_text(text)
    return Branding(folder=folder, clock=ManualClock())


@pytest.mark.parametrize("colour", ["#ffff00", "#000000", "#ffffff", "#1f6f54", "#3b5bdb", "#ff0000", "#808080"])
def test_every_accent_is_one_that_can_be_read_in_both_themes(colour: str) -> None:
    found = colours.accent(colour)
    for ground in (colours.LIGHT_GROUND, colours.LIGHT_INK):
        assert colours.contrast(found.light, ground) >= colours.READABLE
    for ground in (colours.DARK_GROUND, colours.DARK_INK):
        assert colours.contrast(found.dark, ground) >= colours.READABLE
    assert colours.contrast(found.light, colours.soften(found.light, is_light=True)) >= colours.READABLE
    assert colours.contrast(found.dark, colours.soften(found.dark, is_light=False)) >= colours.READABLE
    assert found.is_corrected == (found.light != colour)


def test_contrast_is_what_the_guidelines_say_it_is() -> None:
    assert round(colours.contrast("#000000", "#ffffff"), 2) == 21
    assert round(colours.contrast("#777777", "#ffffff"), 2) == 4.48
    assert colours.accent("#1f6f54").is_corrected is False


def test_words_are_read_by_language_with_their_title_and_no_script(tmp_path: Path) -> None:
    brand = written(tmp_path, home_fr_md="# Le labo\n\nBonjour <script>alert(1)</script> **à vous**").current()
    assert brand.home["fr"].title == "Le labo"
    assert "<strong>à vous</strong>" in brand.home["fr"].body
    assert "<script>" not in brand.home["fr"].body
    assert brand.links("header", "fr") == [("https://example.org/t", "Formations")]
    assert brand.links("header", "de") == [("https://example.org/t", "Trainings")]


async def test_a_change_is_seen_without_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    written(tmp_path, logo_svg=SVG)
    held = Branding(folder=tmp_path, clock=clock)
    before = held.current()
    assert before.logo is not None
    (tmp_path / "branding" / "logo.svg").write_text(SVG.replace("10", "20"))
    (tmp_path / "etabli.toml").write_text(TOML.replace("#1f6f54", "#5f1f54"))
    await clock.advance(LATER)
    after = held.current()
    assert after.logo is not None
    assert after.logo.digest != before.logo.digest
    assert after.style_digest != before.style_digest


@pytest.mark.parametrize(
    "text",
    [
        "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "<svg xmlns='http://www.w3.org/2000/svg'><foreignObject/></svg>",
        "<svg xmlns='http://www.w3.org/2000/svg'><image href='https://evil.example/x'/></svg>",
        "<svg xmlns='http://www.w3.org/2000/svg'><a href='javascript:alert(1)'/></svg>",
        "<!DOCTYPE svg [<!ENTITY a 'a'>]><svg xmlns='http://www.w3.org/2000/svg'>&a;</svg>",
        "<html/>",
        "no picture",
        SVG + " " * branding.LOGO_BYTES,
    ],
)
def test_a_logo_that_is_more_than_a_drawing_is_told_and_not_shown(tmp_path: Path, text: str) -> None:
    brand = written(tmp_path, logo_svg=text).current()
    assert brand.logo is None
    assert len(brand.faults) == 1


@pytest.mark.parametrize(
    "toml",
    [
        "[branding]\naccent = 'red'",
        "[branding]\nfolder = '../keys'",
        "[branding]\nnothing = 1",
        "not toml",
        "[[branding.header]]\ntext = {en = 'x'}\nurl = 'javascript:alert(1)'",
        "[[branding.header]]\ntext = {en = 'x'}\nurl = '//evil.example'",
    ],
)
async def test_a_mistake_is_told_and_what_held_before_holds(tmp_path: Path, toml: str) -> None:
    clock = ManualClock()
    written(tmp_path)
    held = Branding(folder=tmp_path, clock=clock)
    assert held.current().faults == ()
    (tmp_path / "etabli.toml").write_text(toml)
    await clock.advance(LATER)
    assert len(held.current().faults) == 1
    assert held.current().links("header", "en") == [("https://example.org/t", "Trainings")]
    assert held.current().accent is not None


def test_nothing_outside_its_folders_is_looked_at(tmp_path: Path) -> None:
    held = written(tmp_path)
    for folder in ("../x", "keys", "branding/../keys", "/etc", "branding\x00"):
        with pytest.raises(errors.Invalid):
            held.preview(folder=folder)


@pytest.fixture
def branded(lab: Lab, tmp_path: Path) -> Lab:
    """The lab with branding of its own."""
    home = "# Le labo de l'institut\n\nÀ vous."
    held = written(tmp_path, logo_svg=SVG, home_fr_md=home, home_en_md="# The institute's lab\n\nYours.")
    (tmp_path / "branding.new").mkdir()
    (tmp_path / "branding.new" / "home.en.md").write_text("# What comes")
    app = web.create(replace(lab.rooms, branding=held))
    return replace(lab, web=app, app=Door(app, lab=lab.rooms.lab))


async def test_pages_carry_the_accent_the_logo_the_words_and_the_links(branded: Lab, ada: models.User) -> None:
    async with branded.browser() as client:
        page = (await client.get("/")).text
        assert "The institute&#39;s lab" in page
        assert "https://example.org/t" in page
        assert "mailto:help@example.org" in page
        brand = branded.web.state.rooms.branding.current()
        style = await client.get(f"/branding/{brand.style_digest}/accent.css")
        assert style.headers["content-type"].startswith("text/css")
        assert "#1f6f54" in style.text
        assert f"/branding/{brand.style_digest}/accent.css" in page
        logo = await client.get(f"/branding/{brand.logo.digest}/logo")
        assert logo.headers["content-type"].startswith("image/svg+xml")
        assert "sandbox" in logo.headers["content-security-policy"]
        assert (await client.get("/branding/0000000000000000/logo")).status_code == 404
    async with branded.browser(await branded.token(ada)) as client:
        assert "Trainings" in (await client.get("/services")).text


async def test_an_administrator_looks_ahead_and_nobody_else_sees_it(branded: Lab, ada: models.User) -> None:
    async with branded.browser(await branded.token(ada)) as client:
        page = await client.get("/admin/branding", params={"folder": "branding.new", "accent": "#ffff00"})
        assert "What comes" in page.text
        assert "cannot be read on the pages" in page.text
        style = await client.get("/admin/branding/style.css", params={"accent": "#ffff00"})
        assert ".brand-sample[data-theme]" in style.text
        assert "What comes" not in (await client.get("/admin/branding")).text
        wrong = await client.get("/admin/branding", params={"accent": "red", "folder": ""})
        assert wrong.status_code == 422
        assert 'id="accent-wrong"' in wrong.text
    async with branded.browser() as client:
        assert "What comes" not in (await client.get("/")).text


async def test_branding_is_not_there_for_others(lab: Lab, ada: models.User) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    async with lab.browser(await lab.token(bob)) as client:
        for path in ("/admin/branding", "/admin/branding/style.css", "/admin/branding/logo"):
            assert (await client.get(path)).status_code == 404


async def test_without_branding_pages_ask_for_none(lab: Lab, browser: httpx.AsyncClient) -> None:
    assert "/branding/" not in (await browser.get("/services")).text
