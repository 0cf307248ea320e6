"""Logs: told whole, followed without polling, kept within bounds."""

import asyncio
from pathlib import Path

from etabli.engines.process import logs

PATIENCE = 5


def source(folder: Path, *, pod: str = "web-0") -> logs.Source:
    return logs.Source(pod, "main", logs.prepare(folder / pod / "main.log"))


async def told(folder: Path, *sources: logs.Source) -> list[str]:
    return [line.text async for line in logs.read(lambda: sources, folder, follow=False)]


def write(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


async def test_lines_are_told_whatever_their_bytes(tmp_path: Path) -> None:
    one = source(tmp_path)
    write(one.path, b"a\r\n\n\xff\xe9\nlast without end")
    assert await told(tmp_path, one) == ["a", "", "��", "last without end"]


async def test_a_line_without_end_is_told_in_pieces(tmp_path: Path) -> None:
    one = source(tmp_path)
    write(one.path, b"x" * 1_000_000)
    lines = await told(tmp_path, one)
    assert sum(map(len, lines)) == 1_000_000
    assert max(map(len, lines)) <= logs.CHUNK + logs.MAX_LINE


async def test_following_goes_on_over_new_pods_until_the_service_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    sources = [source(folder)]
    following = logs.read(lambda: tuple(sources), folder, follow=True)
    async with asyncio.timeout(PATIENCE):
        write(sources[0].path, b"one\nhal")
        assert (await anext(following)).text == "one"
        write(sources[0].path, b"f\n")
        assert (await anext(following)).text == "half"
        sources.append(source(folder, pod="web-1"))
        write(sources[1].path, b"two\n")
        line = await anext(following)
        assert (line.pod, line.text) == ("web-1", "two")
        for path in (sources[0].path, sources[1].path):
            path.unlink()
            path.parent.rmdir()
        folder.rmdir()
        assert [line async for line in following] == []


async def test_a_log_keeps_its_end_and_frees_the_rest_under_a_writer(tmp_path: Path) -> None:
    one = source(tmp_path)
    lines = [f"{number:07}" for number in range(100_000)]
    with one.path.open("ab", buffering=0) as writer:
        writer.write("".join(f"{line}\n" for line in lines).encode())
        logs.trim(one.path, 64 << 10)
        assert one.path.stat().st_blocks * 512 <= 128 << 10
        writer.write(b"after\n")
    kept = await told(tmp_path, one)
    assert kept[-1] == "after"
    assert kept[-2] == lines[-1]
    assert (64 << 10) / 8 - 1 <= len(kept) <= (128 << 10) / 8
    logs.trim(one.path, 64 << 10)
    assert (await told(tmp_path, one)) == kept


async def test_a_follower_loses_nothing_to_a_trim(tmp_path: Path) -> None:
    one = source(tmp_path)
    following = logs.read(lambda: (one,), tmp_path, follow=True)
    async with asyncio.timeout(PATIENCE):
        write(one.path, b"first\n")
        assert (await anext(following)).text == "first"
        write(one.path, b"x" * 8190 + b"\n" + b"second\n")
        logs.trim(one.path, 16)
        write(one.path, b"third\n")
        seen = [(await anext(following)).text]
        while seen[-1] != "third":
            seen.append((await anext(following)).text)
        assert "second" in seen
    await following.aclose()  # type: ignore[attr-defined] # It is a generator.


def test_last_words_are_found(tmp_path: Path) -> None:
    one = source(tmp_path)
    assert logs.last_line(one.path) == ""
    write(one.path, b"Traceback\nValueError: no\n\n  \n")
    assert logs.last_line(one.path) == "ValueError: no"
    assert logs.last_line(tmp_path / "absent") == ""
