"""Many who ask at once, a lab killed in the middle, a disk that fills, a machine that loses power."""

import asyncio
import json
import secrets
from pathlib import Path

from etabli.environments.models import BuildPhase
from etabli.environments.service import Environments
from tests.environments.conftest import MakeLab, make_wheel, write_environment
from tests.environments.plain import PlainBuilder
from tests.environments.processes import WAITS, go_on, lab_process, until

IMAGE = "etabli/small"
SLOW = "etabli/slow"


async def test_many_who_ask_at_once_share_one_build(lab: Environments, builder: PlainBuilder) -> None:
    trees = await asyncio.gather(*(lab.ensure(IMAGE) for _ in range(20)))

    assert len({tree.digest for tree in trees}) == 1
    assert len(builder.ran) == 3


async def test_processes_that_ask_at_once_share_one_build(make_lab: MakeLab) -> None:
    builders = [PlainBuilder() for _ in range(4)]
    trees = await asyncio.gather(*(make_lab(builder=builder).ensure(IMAGE) for builder in builders))

    assert len({tree.digest for tree in trees}) == 1
    assert sum(len(builder.ran) for builder in builders) == 3


async def test_who_waits_for_another_process_tells_what_it_tells(
    make_lab: MakeLab, folder: Path, tmp_path: Path
) -> None:
    write_environment(folder, "slow", {"requirements.txt": "alpha\n", "postBuild": WAITS})
    first, second = make_lab(), make_lab(builder=PlainBuilder())
    building = asyncio.create_task(first.ensure(SLOW))
    await until(lambda: _said(first, "at the gate"))

    waiting = asyncio.create_task(second.ensure(SLOW))
    await until(lambda: second.build_state(SLOW).message == "running `postBuild`")
    assert make_lab().build_state(SLOW).phase is BuildPhase.FINISHING

    assert (await go_on(tmp_path / "lab", building)).digest == (await waiting).digest


async def test_who_leaves_does_not_end_the_build_of_others(lab: Environments, folder: Path, tmp_path: Path) -> None:
    write_environment(folder, "slow", {"requirements.txt": "alpha\n", "postBuild": WAITS})
    leaving, staying = asyncio.create_task(lab.ensure(SLOW)), asyncio.create_task(lab.ensure(SLOW))
    await until(lambda: _said(lab, "at the gate"))

    leaving.cancel()
    await asyncio.wait([leaving])

    assert lab.is_built((await go_on(tmp_path / "lab", staying)).digest)


async def test_closing_ends_the_build_and_leaves_nothing_of_it(lab: Environments, folder: Path, tmp_path: Path) -> None:
    write_environment(folder, "slow", {"requirements.txt": "alpha\n", "postBuild": WAITS})
    building = asyncio.create_task(lab.ensure(SLOW))
    await until(lambda: _said(lab, "at the gate"))

    await lab.close()
    await asyncio.wait([building])

    assert building.cancelled()
    await until(lambda: not list((tmp_path / "lab/pool/building").iterdir()))


async def test_a_lab_killed_in_the_middle_is_taken_up_by_the_next(
    make_lab: MakeLab, folder: Path, wheels: Path, tmp_path: Path
) -> None:
    write_environment(folder, "slow", {"requirements.txt": "alpha\n", "postBuild": WAITS})
    root = tmp_path / "lab"
    reader = make_lab()
    async with lab_process(root, folder, wheels, SLOW) as killed:
        await until(lambda: _said(reader, "at the gate"))
        assert reader.build_state(SLOW).phase is BuildPhase.FINISHING
        killed.kill()
        await killed.wait()
    [left] = (root / "pool/building").iterdir()
    assert not reader.is_built(reader.digest(SLOW))
    assert reader.build_state(SLOW).phase is BuildPhase.WAITING

    builder = PlainBuilder()
    building = asyncio.create_task(make_lab(builder=builder).ensure(SLOW))
    await until(lambda: not left.exists())
    tree = await go_on(root, building)

    assert reader.is_built(tree.digest)
    # What still ran of the killed one was ended before its folder was removed.
    assert {folder.parent.name for folder in builder.ended} == {left.name}


async def test_killed_at_any_moment_a_tree_is_whole_or_not_there(
    make_lab: MakeLab, folder: Path, wheels: Path, tmp_path: Path
) -> None:
    write_environment(folder, "small", {f"files/data/{number}": "x" * 1000 for number in range(200)})
    expected = await make_lab(root=tmp_path / "undisturbed").ensure(IMAGE)
    root = tmp_path / "lab"
    for moment in range(12):
        async with lab_process(root, folder, wheels, IMAGE) as killed:
            await asyncio.sleep(moment * 0.07)  # The moments are the point: from before the lock to after the rename.
            if killed.returncode is None:
                killed.kill()
            await killed.wait()
        [listed] = await make_lab().list()
        assert listed.tree is None or listed.tree.content_digest == expected.content_digest

    tree = await make_lab().ensure(IMAGE)

    assert tree.content_digest == expected.content_digest
    assert len(list((tree.path / "data").iterdir())) == 200


async def test_a_full_disk_is_said_and_nothing_is_corrupted(folder: Path, wheels: Path, tmp_path: Path) -> None:
    make_wheel(wheels, "heavy", files={"heavy.txt": secrets.token_hex(12 << 20)})
    write_environment(folder, "heavy", {"requirements.txt": "heavy\n"})
    (tmp_path / "disk").mkdir()
    ballast = tmp_path / "disk/ballast"
    fill = f'mount -t tmpfs -o size=120m none {ballast.parent} && head -c 112M /dev/zero > {ballast} && exec "$@"'
    wall = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", fill, "sh")
    images = (IMAGE, "etabli/heavy", IMAGE, "etabli/heavy")
    async with lab_process(tmp_path / "disk/lab", folder, wheels, *images, wall=wall) as process:
        assert process.stdin
        assert process.stdout
        answers = [json.loads(await process.stdout.readline())]
        for turn in range(3):
            if turn == 2:
                _make_room(process.pid, ballast)
            process.stdin.write(b"\n")
            answers.append(json.loads(await process.stdout.readline()))

    light, refused, again, grown = answers
    assert (refused["refused"], refused["phase"], refused["left"]) == ("DiskFull", "failed", [])
    assert "disk is full" in refused["message"]
    assert again == light
    assert "built" in grown


async def test_a_tree_that_a_power_loss_may_have_torn_is_built_again(
    lab: Environments, make_lab: MakeLab, tmp_path: Path
) -> None:
    tree = await lab.ensure(IMAGE)
    await lab.close()
    record = tree.path.with_name("built.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "boot": "another boot"}))
    assert lab.is_built(tree.digest), "it was synced: the next boot trusts it"

    tree.path.with_name("durable").unlink()
    (tree.path / "bin/python").unlink()
    assert not lab.is_built(tree.digest)
    mark = tmp_path / "lab/pool/cache-not-synced"
    mark.write_text("another boot 0")
    torn = tmp_path / "lab/pool/cache/torn"
    torn.write_text("half a wheel")

    again = await make_lab().ensure(IMAGE)

    assert (again.path / "bin/python").exists()
    assert not torn.exists()


def _said(lab: Environments, words: str) -> bool:
    return words in lab.log(SLOW)


def _make_room(pid: int, ballast: Path) -> None:
    """Remove a file that only the process sees."""
    Path(f"/proc/{pid}/root{ballast}").unlink()
