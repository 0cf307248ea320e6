"""What happens around the making of the base `debian-13`, with a stand-in for the tool that makes it."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from etabli.environments import debian
from etabli.environments.errors import BuildFailed, DiskFull, NotLocked
from etabli.environments.models import BuildPhase
from etabli.environments.service import Environments
from etabli.environments.settings import EnvironmentSettings
from etabli.kernel import errors
from tests.environments.conftest import MakeLab, write_environment
from tests.environments.debian_tool import Tool, make_tool
from tests.environments.plain import PlainBuilder
from tests.environments.processes import lab_process, until

IMAGE = "etabli/small"
ON_DEBIAN = EnvironmentSettings(base="debian-13", debian_mirror="http://someone:secret@mirror.example/debian")
MakeOnDebian = Callable[..., Environments]


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    return make_tool(tmp_path / "tool")


@pytest.fixture
def on_debian(make_lab: MakeLab, tool: Tool, wheels: Path) -> MakeOnDebian:
    """A process's view of a lab whose environments stand on `debian-13`."""
    environ = {"PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1", "PATH": tool.path, "TMPDIR": str(tool.scratch)}

    def make(**changes: object) -> Environments:
        given: dict[str, object] = {"settings": ON_DEBIAN, "environ": environ, "builder": PlainBuilder()}
        return make_lab(**{**given, **changes})

    return make


async def test_a_base_is_made_once_and_every_environment_stands_on_it(
    on_debian: MakeOnDebian, folder: Path, tool: Tool
) -> None:
    write_environment(folder, "other", {"requirements.txt": "beta\n"})
    lab = on_debian()
    await on_debian(settings=EnvironmentSettings()).lock("small")
    with pytest.raises(NotLocked, match="the base `debian-13` is not made"):
        lab.digest(IMAGE)

    trees = await asyncio.gather(lab.ensure(IMAGE), on_debian().ensure("etabli/other"))

    assert tool.runs() == 1
    assert {tree.base for tree in trees} == {"debian-13"}
    assert {tree.python_version for tree in trees} == {"3.13.5"}
    roots = [await lab.root(tree.digest) for tree in trees]
    [base] = {root.system for root in roots}
    assert (base[0] / "etc/ssl/certs/ca-certificates.crt").read_text() == "authorities\n"
    assert not (base[0] / "dev/null").exists()
    assert {one.base for one in await lab.list()} == {"debian-13"}


async def test_steps_see_the_base_and_not_the_machine(on_debian: MakeOnDebian) -> None:
    builder = PlainBuilder()
    lab = on_debian(builder=builder)
    tree = await lab.ensure(IMAGE)

    assert {step.system for step in builder.ran} == {(await lab.root(tree.digest)).system}
    assert all(len(step.system) == 1 for step in builder.ran)


async def test_an_environment_says_its_own_base(on_debian: MakeOnDebian, folder: Path, tool: Tool) -> None:
    write_environment(folder, "small", {"base": "host\n"})
    lab = on_debian()

    tree = await lab.ensure(IMAGE)

    assert (tree.base, tree.base_digest, tool.runs()) == ("host", "", 0)
    assert (await lab.root(tree.digest)).system == ()


async def test_another_base_is_another_tree(on_debian: MakeOnDebian, tool: Tool) -> None:
    first = await on_debian().ensure(IMAGE)
    assert (await on_debian(settings=EnvironmentSettings()).ensure(IMAGE)).digest != first.digest


async def test_a_python_that_the_base_has_not_is_refused(on_debian: MakeOnDebian, folder: Path) -> None:
    write_environment(folder, "small", {"runtime.txt": "python-3.12\n"})

    with pytest.raises(errors.Invalid, match=r"`debian-13` has Python 3\.13, not 3\.12") as caught:
        await on_debian().ensure(IMAGE)
    assert list(caught.value.fields) == ["runtime.txt"]


async def test_a_machine_without_the_tool_is_told_what_installs_it(on_debian: MakeOnDebian, tool: Tool) -> None:
    with pytest.raises(errors.Unavailable, match="mmdebstrap") as caught:
        await on_debian(environ={"PATH": tool.without()}).ensure(IMAGE)
    assert "apt-get install mmdebstrap" in (caught.value.hint or "")


async def test_a_tool_that_fails_says_why_and_leaves_nothing(
    on_debian: MakeOnDebian, tool: Tool, tmp_path: Path
) -> None:
    tool.give(before="echo 'E: the mirror is gone' >&2; exit 3")
    lab = on_debian()

    with pytest.raises(BuildFailed, match="making the base failed: the mirror is gone"):
        await lab.ensure(IMAGE)

    assert lab.build_state(IMAGE).phase is BuildPhase.FAILED
    assert _left(tool, tmp_path) == []


@pytest.mark.parametrize(
    "words",
    [
        "tar: var/x: Cannot write: No space left on device",
        "E: You don't have enough free space in /tmp/etabli-base-1/mmdebstrap.x/var/cache/apt/archives/.",
    ],
)
async def test_a_full_disk_is_said_and_the_next_try_is_whole(
    on_debian: MakeOnDebian, tool: Tool, tmp_path: Path, words: str
) -> None:
    tool.give(before=f'echo "{words}" >&2; exit 2')
    lab = on_debian()
    with pytest.raises(DiskFull):
        await lab.ensure(IMAGE)
    assert _left(tool, tmp_path) == []

    tool.give()
    assert (await lab.ensure(IMAGE)).base == "debian-13"


async def test_a_lab_that_closes_ends_the_tool_and_what_it_started(
    on_debian: MakeOnDebian, tool: Tool, tmp_path: Path
) -> None:
    tool.give(before="sleep 600 & echo $! > $TMPDIR/../../pid; wait")
    lab = on_debian()
    building = asyncio.create_task(lab.ensure(IMAGE))
    await until(lambda: _number(tool) is not None)

    await lab.close()
    await asyncio.wait([building])

    await until(lambda: _left(tool, tmp_path) == [])
    await until(lambda: not _runs(tool))


async def test_what_a_killed_lab_was_making_is_ended_and_made_by_the_next(
    on_debian: MakeOnDebian, tool: Tool, folder: Path, wheels: Path, tmp_path: Path
) -> None:
    write_environment(folder, "small", {"base": "debian-13\n"})
    tool.give(before="sleep 600 & echo $! > $TMPDIR/../../pid; wait")
    env = {"PATH": tool.path, "TMPDIR": str(tool.scratch)}
    async with lab_process(tmp_path / "lab", folder, wheels, IMAGE, env=env) as killed:
        await until(lambda: _number(tool) is not None)
        killed.kill()
        await killed.wait()
    assert _runs(tool), "what it started outlives it"
    assert _left(tool, tmp_path) != []

    tool.give()
    tree = await on_debian().ensure(IMAGE)

    assert tree.base == "debian-13"
    await until(lambda: not _runs(tool))
    assert _left(tool, tmp_path) == []


async def test_a_base_goes_when_no_tree_stands_on_it_and_nobody_wants_it(
    on_debian: MakeOnDebian, tmp_path: Path
) -> None:
    lab, other = on_debian(), on_debian(settings=EnvironmentSettings())
    tree = await lab.ensure(IMAGE)
    await lab.prune(in_use=())
    assert lab.is_built(tree.digest)

    await other.prune(in_use=(tree.digest,))
    assert lab.is_built(tree.digest), "a service still stands on its tree"

    await other.prune(in_use=())
    assert not lab.is_built(tree.digest)
    assert [entry.name for entry in (tmp_path / "lab/bases").iterdir()] == ["current"]


async def test_a_renewed_base_is_what_later_builds_stand_on(on_debian: MakeOnDebian, tool: Tool) -> None:
    lab = on_debian()
    old = await lab.ensure(IMAGE)
    assert (await lab.renew_base()).digest == old.base_digest, "the mirror has nothing newer"

    tool.give(version="3.13.9-1")
    made = await on_debian().renew_base()

    assert lab.digest(IMAGE) != old.digest
    assert [one.digest for one in await lab.bases()] == [made.digest, old.base_digest]
    assert (await lab.root(old.digest)).system != (made.path,), "what stands on the old one stays on it"
    new = await lab.ensure(IMAGE)
    assert (new.base_digest, new.python_version) == (made.digest, "3.13.9")
    await lab.prune(in_use=())
    assert [one.digest for one in await lab.bases()] == [made.digest]


async def test_a_base_that_a_power_loss_may_have_torn_is_made_again(
    on_debian: MakeOnDebian, tool: Tool, tmp_path: Path
) -> None:
    lab = on_debian()
    tree = await lab.ensure(IMAGE)
    await lab.close()
    record = tmp_path / "lab/bases" / tree.base_digest / "base.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "boot": "another boot"}))
    assert lab.is_built(tree.digest), "it was synced: the next boot trusts it"

    record.with_name("durable").unlink()
    assert not lab.is_built(tree.digest)

    again = await on_debian().ensure(IMAGE)
    assert (again.digest, tool.runs()) == (tree.digest, 2)


async def test_credentials_reach_the_tool_alone_and_by_no_command_line(on_debian: MakeOnDebian, tool: Tool) -> None:
    environ = {"PATH": tool.path, "TMPDIR": str(tool.scratch), "HTTPS_PROXY": "http://me:word@proxy.example"}
    lab = on_debian(environ=environ)
    with pytest.raises(errors.EtabliError):
        await lab.ensure(IMAGE)  # It has no index to ask; its base is made first.

    lines = tool.told().splitlines()
    assert "https_proxy=http://me:word@proxy.example" in lines
    assert "deb http://someone:secret@mirror.example/debian trixie main" in lines
    assert not any(word in lines[0] for word in ("secret", "word@"))


ONE_LINE = """deb [signed-by=/usr/share/keyrings/x.gpg] http://m.example/debian/ bookworm main contrib
deb-src http://no.example/debian bookworm main
deb http://m.example/security bookworm-security main
"""
DEB822 = """Types: deb
URIs: {address}
Suites: {suites}
Components: {components}
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "debian.sources",
            DEB822.format(address="http://m.example/debian", suites="bookworm bookworm-updates", components="main")
            + "\n"
            + DEB822.format(address="http://m.example/security", suites="bookworm-security", components="main"),
        ),
        (
            "debian.list",
            ONE_LINE,
        ),
    ],
)
def test_the_mirror_is_the_one_of_this_machines_apt(tmp_path: Path, name: str, text: str) -> None:
    apt = tmp_path / "sources.list.d"
    apt.mkdir()
    (apt / "a-vendor.list").write_text("deb https://vendor.example/apt bookworm main\n")
    (apt / name).write_text(text)

    found = debian.find_mirror(apt=tmp_path, release=_release(tmp_path, "debian", "bookworm"))

    assert found is not None
    assert found.main.rstrip("/") == "http://m.example/debian"
    assert found.security == "http://m.example/security"
    assert "trixie-security main" in found.sources()


def test_another_distributions_mirror_is_not_debians(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://m.example/ubuntu noble main\n")

    assert debian.find_mirror(apt=tmp_path, release=_release(tmp_path, "ubuntu", "noble")) is None
    assert debian.find_mirror(apt=tmp_path / "absent", release=_release(tmp_path, "debian", "trixie")) is None


def _release(folder: Path, name: str, codename: str) -> Path:
    path = folder / "os-release"
    path.write_text(f'ID={name}\nVERSION_CODENAME="{codename}"\n')
    return path


def _left(tool: Tool, tmp_path: Path) -> list[str]:
    """What builds and the tool left."""
    folders = (tool.scratch, tmp_path / "lab/pool/building")
    return [entry.name for folder in folders for entry in folder.iterdir()]


def _number(tool: Tool) -> int | None:
    try:
        return int((tool.folder / "pid").read_text())
    except (FileNotFoundError, ValueError):
        return None


def _runs(tool: Tool) -> bool:
    return Path(f"/proc/{_number(tool)}").exists()
