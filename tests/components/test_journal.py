"""What is kept of what components say."""

from pathlib import Path

from etabli.components import journal


def test_last_words_are_the_last_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(1000)))
    words = journal.last_words(log, since=0)
    assert words.endswith("line 999")
    assert words.splitlines()[0].startswith("line ")
    assert len(words) <= journal.TAIL_BYTES


def test_last_words_are_of_this_start_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n")
    assert journal.last_words(log, since=journal.size(log)) == ""
    with log.open("a") as file:
        file.write("new\n")
    assert journal.last_words(log, since=4) == "new"
    assert journal.last_words(log, since=400) == "old\nnew"  # Trimmed meanwhile: where its lines begin is not known.


def test_one_endless_line_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("x" * 10_000)
    assert journal.last_words(log, since=0) == "x" * journal.TAIL_BYTES


def test_trimming_keeps_whole_lines_and_an_appender_goes_on_after_them(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("a", buffering=1) as writer:
        for number in range(1000):
            writer.write(f"line {number}\n")
        journal.trim(log, limit=1000)
        writer.write("after\n")
    lines = log.read_text().splitlines()
    assert lines[-2:] == ["line 999", "after"]
    assert all(line.startswith("line ") for line in lines[:-1])
    assert log.stat().st_size < 1000


def test_a_short_or_absent_log_is_left_alone(tmp_path: Path) -> None:
    journal.trim(tmp_path / "absent", limit=10)
    assert journal.last_words(tmp_path / "absent", since=0) == ""
    (tmp_path / "log").write_text("short")
    journal.trim(tmp_path / "log", limit=10)
    assert (tmp_path / "log").read_text() == "short"
