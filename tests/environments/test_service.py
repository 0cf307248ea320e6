import asyncio
import subprocess
from pathlib import Path

import pytest

from etabli.environments.errors import BuildFailed, NotLocked
from etabli.environments.models import BuildPhase, Outcome, Step, Tree
from etabli.environments.service import Environments
from etabli.environments.settings import EnvironmentSettings
from etabli.kernel import errors
from etabli.kernel.events import Events
from etabli.sandbox.models import ENVIRONMENT_PATH
from tests.environments.conftest import MakeLab, make_wheel, sha256, write_environment
from tests.environments.plain import PlainBuilder

IMAGE = "etabli/small"
UV_LOCK = """version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "beta"
version = "2.5"
source = { registry = "https://index.example/simple" }
wheels = [{ url = "https://index.example/beta-2.5-py3-none-any.whl", hash = "sha256:%s" }]

[[package]]
name = "study"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "beta" }]

[package.metadata]
requires-dist = [{ name = "beta" }]
"""


async def test_an_image_is_built_once_and_its_python_imports_what_was_asked(
    lab: Environments, builder: PlainBuilder
) -> None:
    tree = await lab.ensure(IMAGE)
    again = await lab.ensure(IMAGE)

    assert again == tree
    assert [step.id.rpartition("-")[2] for step in builder.ran] == ["lock", "install", "bytecode"]
    assert await _python(tree, "import alpha, beta; print(alpha.VERSION, beta.VERSION)") == "1.0 2.5\n"
    assert tree.packages == 2
    assert tree.size_bytes > 0
    assert lab.is_built(tree.digest)
    assert lab.digest(IMAGE) == tree.digest


async def test_bytecode_is_there_so_that_no_service_compiles_for_itself(lab: Environments) -> None:
    tree = await lab.ensure(IMAGE)

    before = set(tree.path.rglob("*"))
    assert "alpha.cpython" in await _python(tree, "import alpha; print(alpha.__cached__)")
    assert set(tree.path.rglob("*")) == before


async def test_the_root_puts_the_tree_first(lab: Environments) -> None:
    tree = await lab.ensure(IMAGE)

    root = await lab.root(tree.digest)

    assert root.environment == tree.path
    assert root.env["PATH"].startswith(f"{ENVIRONMENT_PATH}/bin:")
    assert root.env["VIRTUAL_ENV"] == ENVIRONMENT_PATH


async def test_a_tree_that_is_not_built_has_no_root(lab: Environments) -> None:
    with pytest.raises(errors.NotFound):
        await lab.root("0" * 64)


async def test_a_lock_that_was_written_names_the_tree_without_a_network(
    lab: Environments, make_lab: MakeLab, folder: Path
) -> None:
    with pytest.raises(NotLocked):
        lab.digest(IMAGE)
    await lab.lock("small")

    elsewhere = make_lab(root=folder.parent / "other lab", environ={}, builder=_Unreachable())
    assert elsewhere.digest(IMAGE) == lab.digest(IMAGE)


async def test_a_changed_requirement_makes_a_lock_stale(lab: Environments, folder: Path) -> None:
    await lab.lock("small")
    (folder / "small/requirements.txt").write_text("alpha\n")

    with pytest.raises(NotLocked):
        lab.digest(IMAGE)


@pytest.mark.parametrize("change", ["files/etc/note", "files/lib/python3/site-packages/gamma.py", "postBuild"])
async def test_whatever_goes_into_the_tree_changes_its_digest(lab: Environments, folder: Path, change: str) -> None:
    await lab.lock("small")
    before = lab.digest(IMAGE)

    write_environment(folder, "small", {change: "#!/bin/sh\n"})

    assert lab.digest(IMAGE) != before


async def test_a_project_that_uv_locked_is_built_as_it_was_locked(
    lab: Environments, folder: Path, wheels: Path
) -> None:
    pyproject = "[project]\nname = 'study'\nversion = '1'\nrequires-python = '>=3.11'\ndependencies = ['beta']\n"
    lock = UV_LOCK % sha256(wheels / "beta-2.5-py3-none-any.whl")
    write_environment(folder, "study", {"pyproject.toml": pyproject, "uv.lock": lock})
    make_wheel(wheels, "beta", "3.0")

    tree = await lab.ensure("etabli/study")

    assert await _python(tree, "import beta; print(beta.VERSION)") == "2.5\n"
    assert tree.packages == 1


async def test_what_is_excluded_is_left_out(lab: Environments, folder: Path) -> None:
    write_environment(folder, "spare", {"requirements.txt": "alpha\nbeta\n", "excludes.txt": "beta # not needed\n"})

    tree = await lab.ensure("etabli/spare")

    assert await _python(
        tree, "import importlib.util as u; print(u.find_spec('alpha') is None, u.find_spec('beta') is None)"
    ) == ("False True\n")


async def test_two_builds_of_one_lock_come_out_the_same(lab: Environments, make_lab: MakeLab, tmp_path: Path) -> None:
    await lab.lock("small")
    one = await lab.ensure(IMAGE)
    other = await make_lab(root=tmp_path / "another place").ensure(IMAGE)

    assert one.digest == other.digest
    assert one.content_digest == other.content_digest


async def test_copied_files_land_in_the_tree_and_not_in_the_cache(lab: Environments, folder: Path) -> None:
    write_environment(
        folder,
        "small",
        {"files/lib/python3/site-packages/alpha.py": "VERSION = 'ours'\n", "files/etc/tool.conf": "on\n"},
    )
    tree = await lab.ensure(IMAGE)
    plain = write_environment(folder, "plain", {"requirements.txt": "alpha\n"})
    other = await lab.ensure(f"etabli/{plain.name}")

    assert (tree.path / "etc/tool.conf").read_text() == "on\n"
    [ours] = tree.path.glob("lib/python3.*/site-packages/alpha.py")
    [theirs] = other.path.glob("lib/python3.*/site-packages/alpha.py")
    assert ours.read_text() == "VERSION = 'ours'\n"
    assert theirs.read_text() == "VERSION = '1.0'\n"


async def test_trees_share_packages_on_the_disk(lab: Environments, folder: Path) -> None:
    write_environment(folder, "plain", {"requirements.txt": "alpha\n"})
    one, other = await lab.ensure(IMAGE), await lab.ensure("etabli/plain")

    [left] = one.path.glob("lib/python3.*/site-packages/alpha.py")
    [right] = other.path.glob("lib/python3.*/site-packages/alpha.py")
    assert left.samefile(right)


async def test_a_tree_that_scripts_could_write_shares_nothing(lab: Environments, folder: Path) -> None:
    script = "#!/bin/sh\ncd $VIRTUAL_ENV/lib/python3*/site-packages && echo 'VERSION = \"taken over\"' > alpha.py\n"
    write_environment(folder, "scripted", {"requirements.txt": "alpha\n", "postBuild": script})
    scripted, honest = await lab.ensure("etabli/scripted"), await lab.ensure(IMAGE)

    [theirs] = scripted.path.glob("lib/python3.*/site-packages/alpha.py")
    [ours] = honest.path.glob("lib/python3.*/site-packages/alpha.py")
    assert "taken over" in theirs.read_text()
    assert ours.read_text() == "VERSION = '1.0'\n"


async def test_a_post_build_changes_the_tree_at_its_final_path(lab: Environments, folder: Path) -> None:
    script = "#!/bin/sh -eu\npython -c 'import alpha, sys; print(sys.prefix)' > $VIRTUAL_ENV/where\nmkdir -m 000 $VIRTUAL_ENV/shut\n"
    write_environment(
        folder, "scripted", {"requirements.txt": "alpha\n", "postBuild": script + "mkfifo $VIRTUAL_ENV/pipe\n"}
    )

    tree = await lab.ensure("etabli/scripted")

    assert (tree.path / "where").read_text() == f"{ENVIRONMENT_PATH}\n"
    assert list((tree.path / "shut").iterdir()) == []
    assert not (tree.path / "pipe").exists()


async def test_a_post_build_never_sees_the_machines_logins(make_lab: MakeLab, folder: Path, wheels: Path) -> None:
    environ = {
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_INDEX": "1",
        "PIP_INDEX_URL": "https://me:hunter2@index.example/simple",
    }
    lab = make_lab(environ=environ)
    script = "#!/bin/sh\nenv > $VIRTUAL_ENV/seen\n"
    write_environment(folder, "scripted", {"requirements.txt": "alpha\n", "postBuild": script})

    seen = ((await lab.ensure("etabli/scripted")).path / "seen").read_text()

    assert "PIP_INDEX_URL=https://index.example/simple" in seen
    assert "hunter2" not in seen


async def test_a_failing_post_build_says_its_last_words_and_leaves_nothing(
    lab: Environments, folder: Path, tmp_path: Path
) -> None:
    script = "#!/bin/sh\necho fetching https://me:hunter2@index.example/simple\necho the data set has moved\nexit 3\n"
    write_environment(folder, "scripted", {"requirements.txt": "alpha\n", "postBuild": script})

    with pytest.raises(BuildFailed) as caught:
        await lab.ensure("etabli/scripted")

    assert "the data set has moved" in caught.value.message
    assert caught.value.facts["exit_code"] == 3
    assert "hunter2" not in str(caught.value.facts) + lab.log("etabli/scripted")
    assert lab.build_state("etabli/scripted").phase is BuildPhase.FAILED
    assert not lab.is_built(lab.digest("etabli/scripted"))
    assert list((tmp_path / "lab/pool/building").iterdir()) == []


async def test_a_package_that_does_not_exist_is_named(lab: Environments, folder: Path) -> None:
    write_environment(folder, "wishful", {"requirements.txt": "alpha\nno-such-package\n"})

    with pytest.raises(BuildFailed) as caught:
        await lab.ensure("etabli/wishful")

    assert "no-such-package" in str(caught.value.facts["output"])
    assert lab.build_state("etabli/wishful").hint


async def test_a_wheel_that_is_not_the_locked_one_is_refused(
    lab: Environments, make_lab: MakeLab, wheels: Path
) -> None:
    await lab.lock("small")
    make_wheel(wheels, "alpha", files={"alpha.py": "VERSION = 'swapped'\n"})
    elsewhere = make_lab(root=wheels.parent / "a lab that has not downloaded it")

    with pytest.raises(BuildFailed, match=r"installing packages failed.*[Hh]ash"):
        await elsewhere.ensure(IMAGE)


async def test_only_wheels_are_installed(lab: Environments, folder: Path, wheels: Path) -> None:
    (wheels / "source-1.0.tar.gz").write_bytes(b"not even an archive")
    write_environment(folder, "sources", {"requirements.txt": "source\n"})

    with pytest.raises(BuildFailed):
        await lab.ensure("etabli/sources")


@pytest.mark.parametrize(
    "image",
    [
        *("etabli/absent", "etabli/small:0123456789ab", "etabli/small:v1", "etabli/", "small", "docker.io/small", ""),
        *("etabli/../small", "etabli/small/..", "etabli/Small", "etabli/sm all", "etabli/" + "x" * 10_000),
        *("etabli/'; rm -rf", "etabli/élodie"),
    ],
)
async def test_an_unknown_image_is_not_found(lab: Environments, image: str) -> None:
    for ask in (lab.digest, lab.build_state):
        with pytest.raises(errors.NotFound) as caught:
            ask(image)
        assert len(caught.value.message) < 200
    with pytest.raises(errors.NotFound):
        await lab.ensure(image)


async def test_a_tag_names_a_tree_that_was_built_before(lab: Environments, folder: Path) -> None:
    before = await lab.ensure(IMAGE)
    write_environment(folder, "small", {"files/note": "changed"})
    after = await lab.ensure(IMAGE)

    assert after.digest != before.digest
    assert lab.digest(f"{IMAGE}:{before.digest[:12]}") == before.digest
    assert (await lab.ensure(f"{IMAGE}:{before.digest[:12]}")).path == before.path
    assert lab.digest(f"{IMAGE}:latest") == after.digest


async def test_the_list_says_what_is_built_and_what_is_wrong(lab: Environments, folder: Path) -> None:
    write_environment(folder, "broken", {"requirements.txt": "alpha\n", "apt.txt": "gdal-bin\n"})
    write_environment(folder, "later", {"requirements.txt": "beta\n"})
    tree = await lab.ensure(IMAGE)

    broken, later, small = await lab.list()

    assert "apt.txt" in broken.problem
    assert (later.name, later.digest, later.tree) == ("later", None, None)
    assert small.tree == tree


async def test_pruning_spares_what_is_meant_and_what_is_in_use(lab: Environments, folder: Path) -> None:
    used = await lab.ensure(IMAGE)
    write_environment(folder, "small", {"files/note": "second"})
    unused = await lab.ensure(IMAGE)
    write_environment(folder, "small", {"files/note": "third"})
    current = await lab.ensure(IMAGE)

    pruned = await lab.prune(in_use={used.digest}, downloads=True)

    assert pruned.digests == (unused.digest,)
    assert lab.is_built(used.digest)
    assert lab.is_built(current.digest)
    assert not unused.path.exists()


async def test_downloads_can_be_removed_and_trees_stay_whole(lab: Environments, tmp_path: Path) -> None:
    tree = await lab.ensure(IMAGE)

    await lab.prune(in_use=(), downloads=True)

    assert list((tmp_path / "lab/pool/cache").iterdir()) == []
    await _python(tree, "import alpha, beta")


async def test_warming_builds_what_the_lab_wants_and_survives_what_fails(make_lab: MakeLab, folder: Path) -> None:
    lab = make_lab(settings=EnvironmentSettings(warm=("absent", "small")))

    await lab.warm()

    assert lab.build_state(IMAGE).phase is BuildPhase.READY


async def test_progress_is_told_to_who_listens(make_lab: MakeLab) -> None:
    events, seen = Events(), list[str]()
    lab = make_lab(events=events)

    async def listen() -> None:
        async for event in events.listen():
            assert (event.topic, event.subject) == ("build", "small")
            seen.append(event.detail.partition(":")[0])
            if seen[-1] == "ready":
                return

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    assert lab.build_state(IMAGE).phase is BuildPhase.WAITING
    await lab.ensure(IMAGE)
    await asyncio.wait_for(listening, 10)

    assert list(dict.fromkeys(seen)) == ["locking", "downloading", "installing", "finishing", "ready"]


async def _python(tree: Tree, code: str) -> str:
    process = await asyncio.create_subprocess_exec(tree.path / "bin/python", "-c", code, stdout=subprocess.PIPE, env={})
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


class _Unreachable:
    """A builder that must not be asked."""

    async def run(self, step: Step) -> Outcome:
        raise AssertionError(step.id)

    async def end(self, folder: Path) -> None:
        raise AssertionError(folder)

    async def seal(self, tree: Path, *, environment: str) -> None:
        raise AssertionError(tree)

    async def leave(self, environment: str) -> None:
        raise AssertionError(environment)
