"""French and English: complete, well typed, and chosen as people ask."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from babel.messages import pofile

from etabli.kernel.clock import ManualClock
from etabli.web import language
from etabli.web.formats import Formats

ROOT = Path(__file__).resolve().parents[2]
CATALOGUES = sorted(language.FOLDER.glob("*.po"))
PLACE = re.compile(r"%\(\w+\)[sd]|\{\}")


def test_every_message_has_its_translation() -> None:
    done = subprocess.run(
        [sys.executable, "tools/messages.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_a_translation_holds_the_values_of_its_source(path: Path) -> None:
    with path.open("rb") as file:
        catalogue = pofile.read_po(file, locale=path.stem)
    for message in catalogue:
        sources = message.id if isinstance(message.id, tuple | list) else (message.id,)
        texts = message.string if isinstance(message.string, tuple | list) else (message.string,)
        for source, text in zip(sources, texts, strict=True):
            assert text, source
            if "{0}" not in text and "{1}" not in text:  # One that says itself which values it takes.
                assert sorted(PLACE.findall(source)) == sorted(PLACE.findall(text)), source


def test_french_is_typed_as_french() -> None:
    with (language.FOLDER / "fr.po").open("rb") as file:
        catalogue = pofile.read_po(file, locale="fr")
    for message in catalogue:
        for text in message.string if isinstance(message.string, tuple | list) else (message.string,):
            assert not re.search(r" [;!?:»]|« |'", str(text)) or not message.id, text


def test_an_error_is_said_in_french_with_its_values() -> None:
    french = language.load()["fr"]
    assert french.sentence("there is no chart `a « b`") == "il n’y a pas de chart `a « b`"
    assert french.sentence("this project has 50 services already") == "ce projet a déjà 50 services"
    nested = french.sentence("`x` cannot be launched: there is no `Chart.yaml`")
    assert nested == "`x` ne peut pas être lancé\u00a0: il n’y a pas de `Chart.yaml`"
    assert french.sentence("never heard of") == "never heard of"
    assert french.sentence("") == ""


@pytest.mark.parametrize(
    ("chosen", "accepted", "expected"),
    [
        ("fr", "en", "fr"),
        (None, "fr-CA, en;q=0.9", "fr"),
        (None, "en;q=0.1, fr;q=0.9", "fr"),
        (None, "fr;q=0, de", "en"),
        (None, "*;q=x,;;,", "en"),
        ("xx", "", "en"),
    ],
)
def test_the_language_is_the_chosen_one_then_the_browsers_then_the_labs(
    chosen: str | None, accepted: str, expected: str
) -> None:
    assert language.choose(chosen=chosen, accepted=accepted, default="en") == expected


def test_numbers_sizes_and_moments_are_written_as_each_language_does() -> None:
    clock = ManualClock()
    english, french = (Formats(messages=language.load()[code], clock=clock) for code in ("en", "fr"))
    assert english.size_of(1.1 * 2**30, 4 * 2**30) == "1.1 / 4\u00a0GiB"
    assert french.size_of(1.1 * 2**30, 4 * 2**30) == "1,1 / 4\u00a0Gio"
    assert french.size_of(None, 32 * 2**30) == "– / 32\u00a0Gio"
    assert (english.cores(0.5), french.cores(0.5)) == ("0.5\u00a0cores", "0,5\u00a0cœur")
    assert (english.cores(1), french.cores(2)) == ("1\u00a0core", "2\u00a0cœurs")
    assert french.since(clock.now() - timedelta(minutes=42)) == "42\u00a0minutes"
    assert french.ago(clock.now() + timedelta(days=6)) == "dans 6 jours"
    assert english.ago(clock.now() - timedelta(hours=3)) == "3 hours ago"
    assert french.day(clock.now()) == "1 janvier 2026"
