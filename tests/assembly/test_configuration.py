"""The lab's one file: read whole or refused by name, and what is fixed at the first start."""

from pathlib import Path

import pytest

from etabli.assembly import configuration
from etabli.assembly.configuration import StartOptions
from etabli.kernel import errors, settings


@pytest.fixture
def layout(tmp_path: Path) -> settings.Layout:
    made = settings.Layout(data=tmp_path / "data", run=tmp_path / "run")
    made.make()
    return made


def test_the_first_start_writes_where_the_lab_answers(layout: settings.Layout) -> None:
    configuration.fix_at_first_start(layout, StartOptions(port=8123))
    lab = configuration.load(layout).lab
    assert (lab.domain, lab.port, lab.listen, lab.https) == ("etabli.localhost", 8123, "127.0.0.1", False)
    assert layout.settings.stat().st_mode & 0o777 == 0o600


def test_a_domain_means_https_on_every_address(layout: settings.Layout) -> None:
    configuration.fix_at_first_start(layout, StartOptions(domain="lab.example.org"))
    lab = configuration.load(layout).lab
    assert (lab.origin, lab.listen, lab.port) == ("https://lab.example.org", "0.0.0.0", 443)


def test_given_certificates_are_kept_for_the_front_door(layout: settings.Layout) -> None:
    options = StartOptions(domain="lab.example.org", certificate=Path('/etc/a "b".pem'), key=Path("/etc/key.pem"))
    configuration.fix_at_first_start(layout, options)
    door = configuration.load(layout).front_door
    assert (door.certificates, str(door.certificate)) == ("files", '/etc/a "b".pem')


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (StartOptions(port=9000), "this lab answers with port `8123` since its first start, not `9000`"),
        (StartOptions(domain="x.localhost"), "answers with domain `etabli.localhost` since its first start"),
        (StartOptions(listen="0.0.0.0"), "answers with listen `127.0.0.1` since its first start"),
    ],
)
def test_a_lab_that_has_started_is_not_moved(layout: settings.Layout, options: StartOptions, sentence: str) -> None:
    configuration.fix_at_first_start(layout, StartOptions(port=8123))
    before = layout.settings.read_text()
    with pytest.raises(errors.Refused, match=sentence) as refused:
        configuration.fix_at_first_start(layout, options)
    assert "another data folder" in (refused.value.hint or "")
    assert layout.settings.read_text() == before


def test_saying_the_same_again_is_fine(layout: settings.Layout) -> None:
    for _ in range(2):
        configuration.fix_at_first_start(layout, StartOptions(domain="etabli.localhost", port=8123))


def test_a_wrong_option_is_refused_before_it_is_written(layout: settings.Layout) -> None:
    for options in (StartOptions(port=70_000), StartOptions(certificates="borrowed")):
        with pytest.raises(errors.Invalid):
            configuration.fix_at_first_start(layout, options)
        assert not layout.settings.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[lab]\nprot = 8000\n", "`lab.prot`"),
        ("[lab]\nport = 'many'\n", "`lab.port`"),
        ("[stroage]\n", "`[stroage]`"),
        ("[services]\nlifetime_days = -1\n", "`services.lifetime_days`"),
        ("lab = 3\n", "`lab`"),
        ("[lab\n", "is not TOML"),
    ],
)
def test_a_wrong_setting_is_named(layout: settings.Layout, text: str, said: str) -> None:
    layout.settings.write_text(text)
    with pytest.raises(errors.Invalid) as refused:
        configuration.load(layout)
    assert said in refused.value.message
    assert refused.value.hint


def test_every_section_has_defaults(layout: settings.Layout) -> None:
    assert configuration.load(layout).lab.origin == "http://etabli.localhost:8000"


def test_a_quoted_word_is_written_as_toml_reads_it(layout: settings.Layout) -> None:
    configuration.fix_at_first_start(layout, StartOptions(domain='é"\\\n.localhost'))
    assert settings.read(layout.settings)["lab"]["domain"] == 'é"\\\n.localhost'  # type: ignore[index] # A section is a mapping.
