"""From a plan to a tree: the steps, each in a sandbox, and what each may touch.

1. *Install.* uv makes the environment and installs wheels whose hashes are in the lock. The cache of packages is writable, and nothing
   of a package runs: wheels only, and the interpreter that uv asks is asked before there is anything to import.
2. *Copy* the environment's own `files/`.
3. *postBuild*, where there is one: other people's code. The cache is not there, and what was installed is a copy, never a hard link.
4. *Finish*: one mode, one date, bytecode, the content's digest.

From step 3 on the tree is seen at its final path (`ENVIRONMENT_PATH`). In step 1 it lies beside the cache, in one mount, because a
hard link does not cross mounts: it is relocatable (`uv venv --relocatable`), so its path does not matter.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from uv import find_uv_bin

from etabli.environments import errors, indexes, models, ports, progress, tree
from etabli.environments.models import BuildPhase, BuildState
from etabli.kernel.clock import Clock
from etabli.sandbox.models import ENVIRONMENT_PATH, Mount

UV = "/run/etabli-uv"
POOL = "/run/etabli-pool"
WORK = "/run/etabli-work"
CACHE = MappingProxyType({"UV_CACHE_DIR": f"{POOL}/cache"})
NO_REACH = models.Reach()
BYTECODE = Path(__file__).with_name("bytecode.py")
BYTECODE_INSIDE = "/run/etabli-bytecode.py"
LOCK = "requirements.lock"
OLDEST_PYTHON = "3.11"  # Locks hold from this one on, so that one lock serves every machine.
TAIL_BYTES = 1024  # Of a failed step, shown.
STEP_FOLDERS = "step-*"  # Where the records of a build's sandboxes are, in its folder.
MAKE_ROOM = "free space, or `etabli environments prune`"
UV_ERROR = re.compile(r"^(error: |\s*× )", re.MULTILINE)
REASON_CHARACTERS = 400
NO_SPACE = ("No space left on device", "os error 28", "Disk quota exceeded", "You don't have enough free space")
LEFT_BY_UV = (".lock", ".gitignore", "CACHEDIR.TAG")  # A tag that says "cache" would keep a tree out of backups.

INSTALL = """
uv=$1; python=$2; tree=$3; mode=$4; shift 4
"$uv" venv --quiet --allow-existing --relocatable --python "$python" "$tree"
exec "$uv" pip install --python "$tree/bin/python" --require-hashes --only-binary :all: --no-deps --link-mode "$mode" \
  --requirements /run/etabli-work/requirements.lock "$@"
"""

Tell = Callable[[BuildState], None]


class Workshop:
    """Runs the steps of one build, follows what they write, and says how a failed one ended."""

    def __init__(
        self,
        *,
        environment: str,
        builder: ports.Builder,
        folder: Path,
        log: Path,
        reach: models.Reach,
        script_reach: models.Reach,
        clock: Clock,
        tell: Tell,
        base: models.Base | None = None,
    ) -> None:
        """Without a `base`, steps see this machine's own system."""
        self._environment = environment
        self._system = () if base is None else base.system
        self._builder, self._folder, self._log = builder, folder, log
        self.reach, self.script_reach = reach, script_reach  # uv's, with credentials, and that of other people's code.
        self._clock, self._tell = clock, tell
        self._work = folder / "work"
        self._work.mkdir(exist_ok=True)

    async def seal(self, target: Path) -> None:
        """Make the finished tree what any project may be given."""
        await self._builder.seal(target, environment=self._environment)

    @property
    def options(self) -> tuple[str, ...]:
        """What uv can be told by an option alone: that there is no index beside the folders of wheels."""
        return ("--no-index",) if "PIP_NO_INDEX" in self.reach.variables else ()

    def give(self, name: str, content: str | bytes) -> None:
        """Put a file where steps find it, under WORK."""
        path = self._work / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o755)

    def take(self, name: str) -> str:
        """What a step left under WORK."""
        return (self._work / name).read_text()

    async def run(
        self,
        name: str,
        argv: tuple[str, ...],
        *mounts: Mount,
        begin: BuildState,
        env: Mapping[str, str] = MappingProxyType({}),
        reach: models.Reach = NO_REACH,
    ) -> BuildState:
        """Run a step, telling how far it is. BuildFailed with its last words, or DiskFull."""
        step = models.Step(
            id=f"build-{self._environment}-{name}",
            environment=self._environment,
            argv=argv,
            env={**_variables(), **reach.variables, **env},
            mounts=(*mounts, Mount(target=WORK, source=self._work), *reach.mounts),
            folder=self._folder / f"step-{name}",
            log=self._log,
            system=self._system,
        )
        follower = progress.Follower(self._log, begin, tell=self._tell)
        following = asyncio.create_task(follower.follow(self._clock))
        try:
            outcome = await self._builder.run(step)
        finally:
            following.cancel()
        state = follower.look()
        if outcome.exit_code != 0:
            raise failure(name, outcome, follower.output())
        return state


async def resolve(spec: models.Spec, base: models.Base, workshop: Workshop, *, cache: Path) -> str:
    """The lock of an environment: exact versions and hashes of wheels, for every Python from the asked one on."""
    shared = (_uv(), Mount(target=f"{POOL}/cache", source=cache))
    begin = BuildState(BuildPhase.LOCKING, f"choosing the versions of `{spec.name}`")
    if spec.project is not None:
        workshop.give("pyproject.toml", spec.project[0])
        workshop.give("uv.lock", spec.project[1])
        command = f"export --project {WORK} --frozen --offline --no-emit-project --no-dev --format requirements-txt"
    else:
        workshop.give("requirements.txt", spec.requirements or "")
        workshop.give("excludes.txt", spec.excludes)
        command = f"pip compile {WORK}/requirements.txt --excludes {WORK}/excludes.txt --universal --generate-hashes"
        command += f" --only-binary :all: --python-version {spec.python or OLDEST_PYTHON}"
        command += " --no-emit-index-url --no-emit-find-links " + " ".join(workshop.options)
    command += f" --python {base.python} --no-header --quiet --output-file {WORK}/{LOCK}"
    await workshop.run("lock", (UV, *command.split()), *shared, begin=begin, env=CACHE, reach=workshop.reach)
    return workshop.take(LOCK).replace(f"{WORK}/", "")


async def build(plan: models.Plan, workshop: Workshop, *, folder: Path, pool: Path, clock: Clock) -> models.Tree:
    """Make the tree of `plan` in `folder/out/tree`, whole. The caller publishes it."""
    began, target = clock.monotonic(), folder / "out" / "tree"
    installed = await _install(plan, workshop, target=target, pool=pool)
    await asyncio.to_thread(_after_install, plan, target)
    if plan.spec.post_build is not None:
        await _post_build(plan, workshop, target)
    content = await _finish(plan, workshop, target, packages=installed.packages)
    return models.Tree(
        digest=plan.digest,
        path=target,
        environment=plan.spec.name,
        base=plan.base.name,
        python_version=plan.base.python_version,
        packages=installed.packages,
        size_bytes=await asyncio.to_thread(tree.size, target),
        built_at=clock.now(),
        build_seconds=round(clock.monotonic() - began, 1),
        content_digest=content,
        base_digest=plan.base.digest,
    )


def digest(spec: models.Spec, base: models.Base, lock: str) -> str:
    """What names a tree: all that decides what is in it."""
    parts = {
        "builder": models.BUILDER_VERSION,
        "base": [base.name, base.identity, base.python_version],
        "lock": _sha256(lock.encode()),
        "files": [[file.path, _sha256(file.content), file.executable] for file in spec.files],
        "postBuild": _sha256(spec.post_build) if spec.post_build is not None else None,
    }
    return _sha256(json.dumps(parts, sort_keys=True).encode())


async def _install(plan: models.Plan, workshop: Workshop, *, target: Path, pool: Path) -> BuildState:
    workshop.give(LOCK, plan.lock)
    inside = f"{POOL}/{target.relative_to(pool)}"
    # Code that runs later, in a sandbox where the tree is writable, must not reach the cache through a hard link.
    mode = "hardlink" if plan.spec.post_build is None else "copy"
    return await workshop.run(
        "install",
        ("/bin/sh", "-eu", "-c", INSTALL, "install", UV, plan.base.python, inside, mode, *workshop.options),
        _uv(),
        Mount(target=POOL, source=pool),
        begin=BuildState(BuildPhase.DOWNLOADING, "asking the package index"),
        env=CACHE,
        reach=workshop.reach,
    )


def _after_install(plan: models.Plan, target: Path) -> None:
    for name in LEFT_BY_UV:
        (target / name).unlink(missing_ok=True)
    tree.copy_in(target, plan.spec.files, python_folder=plan.base.python_folder)


async def _post_build(plan: models.Plan, workshop: Workshop, target: Path) -> None:
    workshop.give("postBuild", plan.spec.post_build or b"")
    await workshop.run(
        "postbuild",
        (f"{WORK}/postBuild",),
        Mount(target=ENVIRONMENT_PATH, source=target),
        begin=BuildState(BuildPhase.FINISHING, "running `postBuild`"),
        env={"PATH": f"{ENVIRONMENT_PATH}/bin:/usr/local/bin:/usr/bin:/bin", "VIRTUAL_ENV": ENVIRONMENT_PATH},
        reach=workshop.script_reach,
    )


async def _finish(plan: models.Plan, workshop: Workshop, target: Path, *, packages: int) -> str:
    """Compile bytecode while the sources, which are final, are digested."""
    await asyncio.to_thread(tree.make_uniform, target)
    compiling = workshop.run(
        "bytecode",
        (plan.base.python, "-I", "-S", BYTECODE_INSIDE, f"{ENVIRONMENT_PATH}/lib"),
        Mount(target=ENVIRONMENT_PATH, source=target),
        Mount(target=BYTECODE_INSIDE, source=BYTECODE, read_only=True),
        begin=BuildState(BuildPhase.FINISHING, "compiling", packages=packages),
    )
    content = asyncio.create_task(asyncio.to_thread(tree.digest, target))
    try:
        await compiling
    finally:
        digested = await content
    await asyncio.to_thread(tree.make_uniform, target)
    await workshop.seal(target)
    return digested


def _variables() -> dict[str, str]:
    """What every step has: a path, a home that vanishes, uv without downloads of interpreters nor files of anybody's."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
    }


def _uv() -> Mount:
    return Mount(target=UV, source=Path(find_uv_bin()).resolve(), read_only=True)


def failure(name: str, outcome: models.Outcome, output: str) -> errors.BuildFailed | errors.DiskFull:
    """What to raise for a step that ended badly and wrote `output`."""
    tail = indexes.masked(output[-TAIL_BYTES:]).encode("utf-8", "replace").decode().strip()
    if any(sign in output for sign in NO_SPACE):
        return errors.DiskFull(
            "the disk is full: the environment was not built, and nothing of it was kept",
            hint=MAKE_ROOM,
            retry_after=timedelta(minutes=5),
        )
    what = {
        "lock": "choosing versions",
        "install": "installing packages",
        "postbuild": "`postBuild`",
        "base": "making the base",
    }.get(name, f"`{name}`")
    reason = outcome.message or _reason(indexes.masked(output)) or f"exit code {outcome.exit_code}"
    return errors.BuildFailed(
        f"{what} failed: {reason}",
        hint=outcome.hint or "the build's log tells more",
        command=name,
        exit_code=outcome.exit_code,
        output=tail,
    )


def _reason(output: str) -> str:
    """What a person is told first: uv's own error without its frame, else the last line."""
    begin = UV_ERROR.search(output)
    text = output[begin.start() :] if begin else output.strip().rpartition("\n")[2]
    return " ".join(re.sub("[×├└│╰─▶╭]", " ", text).split())[:REASON_CHARACTERS]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
