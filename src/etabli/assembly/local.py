"""One lab of this machine, as the command line handles it: start, stop, look, mend."""

import asyncio
import getpass
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from etabli.assembly import configuration, parts, processes, revisions, unit
from etabli.backup import standing
from etabli.cli import ports
from etabli.components import child, models, plan, status, supervisor
from etabli.engines import contract
from etabli.identity.invitations import FIRST_LINK_FILE
from etabli.identity.outside import client_secrets
from etabli.kernel import errors, files, settings
from etabli.kernel.clock import SystemClock
from etabli.kernel.processes import ProcessRef, send_signal
from etabli.sandbox import limits

READY_SECONDS = 120.0  # How long a detached start may take until everything answers.
HANDOVER_SECONDS = 15.0  # How long the supervisor of another version may take to let go.
POLL_SECONDS = 0.05
GRACE = timedelta(seconds=5)  # For services when the whole lab is stopped.
HOPELESS = 3  # Ends in a row after which a detached start waits no more; the supervisor goes on trying.
ANNOUNCEMENT = "announcement"
LOG = "supervisor.log"

Result = TypeVar("Result")


@dataclass(frozen=True)
class LocalLab:
    """Keeps `cli.ports.Lab` for the lab whose folders are `layout`."""

    layout: settings.Layout
    environ: Mapping[str, str]

    @property
    def socket(self) -> Path:
        """Where the portal answers its operator."""
        return self.layout.socket(processes.PORTAL)

    @property
    def backups(self) -> ports.Backups:
        """Its backups."""
        # Here and not above: what encrypts and signs would cost every command a tenth of a second.
        from etabli.assembly import keeping  # noqa: PLC0415

        os.environ["PATH"] = processes.search_path(self.environ)
        return keeping.LocalBackups(self.layout, self.environ)

    def up(self, options: ports.StartOptions) -> None:
        """Start the lab; what runs is adopted, what another version started is replaced, services are not touched."""
        standing.refuse_unfinished(self.layout.data)
        self.layout.make()
        limits.prepare_own_subtree()
        os.environ["PATH"] = processes.search_path(self.environ)
        started = configuration.StartOptions(
            domain=options.domain,
            port=options.port,
            listen=options.listen,
            certificates=options.certificates,
            certificate=options.certificate,
            key=options.key,
        )
        with configuration.fixed_at_first_start(self.layout, started) as loaded:
            self._check_secrets(loaded)
            revisions.refuse_newer(self.layout.database)  # Before anything that runs is touched.
            self._refuse_or_take_over(loaded.lab)
            the_plan = processes.make(self.layout, loaded, environ=self.environ)
            supervisor.check_ports(the_plan)
            plan.save(the_plan, processes.path(self.layout))
        announcement = self.layout.run / ANNOUNCEMENT
        files.write_atomically(announcement, self._announcement(loaded))
        argv = [sys.executable, "-m", "etabli.components.supervisor", str(processes.path(self.layout))]
        if options.detach:
            self._detach(argv, the_plan, announcement)
        else:
            os.execv(argv[0], [*argv, "--announce", str(announcement)])

    def down(self) -> None:
        """Stop components in order, then what still runs in sandboxes."""
        os.environ["PATH"] = processes.search_path(self.environ)
        ran = asyncio.run(supervisor.down(self._plan(), clock=SystemClock()))
        ended = self._with_parts(_end_services)
        print("the lab is stopped; everything that lasts is kept" if ran or ended else "the lab was not running")

    def upgrade(self, *, to: str, within_seconds: float, backup: bool) -> str:
        """Bring it to another version, or back to this one."""
        from etabli.assembly import upgrading  # noqa: PLC0415 - As above.

        os.environ["PATH"] = processes.search_path(self.environ)
        request = upgrading.Request(to=to, within_seconds=within_seconds, backup=backup)
        return upgrading.upgrade(self.layout, request, environ=os.environ, now=SystemClock().now())

    def status(self) -> Sequence[ports.Row]:
        """Each component, its state, since when."""
        snapshot = status.read(self._plan())
        rows = [
            ports.Row(
                cells=(one.name, one.state.value, one.since, str(one.pid or "")),
                well=one.ready,
                hint="" if one.ready else one.words,
            )
            for one in snapshot.components
        ]
        watched = snapshot.supervisor is not None
        return [
            ports.Row(
                ("supervisor", "running" if watched else "stopped", "", str(snapshot.supervisor or "")), well=watched
            ),
            *rows,
        ]

    def doctor(self) -> Sequence[ports.Row]:
        """What holds on this machine."""
        return [*self._with_parts(_findings), self._backup_row()]

    def unit(self) -> str:
        """The systemd unit. Its stop leaves components and services to the next start; `etabli down` stops them. Refused to root."""
        if os.geteuid() == 0:
            raise errors.Refused(
                "a lab never runs as root, and its unit names whose it is",
                hint="`runuser -u USER -- etabli service install --print > /etc/systemd/system/etabli.service`, by the lab's own user",
            )
        return unit.render(
            unit.Owner(name=getpass.getuser(), uid=os.geteuid()),
            layout=self.layout,
            python=sys.executable,
            folder=Path(__file__).resolve().parents[3],
        )

    def environments(self) -> Sequence[ports.Row]:
        """Name, digest, size, state."""
        return self._with_parts(_environment_rows)

    def build(self, name: str) -> None:
        """Build an environment here and now."""
        self._with_parts(partial(_build, name=name))

    def lock(self, name: str) -> Path:
        """Choose the versions of an environment again."""
        return self._with_parts(partial(_lock, name=name))

    def renew(self) -> str:
        """Make the base `debian-13` anew."""
        return self._with_parts(_renew)

    def prune(self) -> Sequence[str]:
        """Remove trees that nothing uses."""
        return self._with_parts(_prune)

    def invitation(self) -> str | None:
        """The administrator's one-time link, while there is nobody."""
        return self._first_link(configuration.load(self.layout).lab)

    def _backup_row(self) -> ports.Row:
        chosen = configuration.load(self.layout).backup
        notebook = standing.Notebook(settings=chosen, folder=standing.folder(self.layout.data), clock=SystemClock())
        found = notebook.standing()
        last = f"last taken {found.last_at:%Y-%m-%d %H:%M} UTC" if found.last_at else found.trouble
        cure = "docs/administrator/backup.md says how" if not found.configured else found.trouble
        return ports.Row(("backups", "kept" if found.last_at else "none", last), well=not cure, hint=cure)

    def _plan(self) -> models.Plan:
        return plan.load(processes.path(self.layout))

    def _check_secrets(self, loaded: configuration.Configuration) -> None:
        """Invalid where an outside provider's secret cannot be used: better said here than to who signs in."""
        if problems := client_secrets.problems(loaded.identity.providers, self.environ):
            hint = f"or leave that provider out of `{self.layout.settings}` for now"
            raise errors.Invalid("; ".join(problems), hint=hint)

    def _refuse_or_take_over(self, lab: settings.LabSettings) -> None:
        """Conflict where this very version supervises the lab already; another version's supervisor lets go, and we go on."""
        watcher = status.supervisor(self.layout.data)
        if watcher is None:
            return
        if self._running_version() == processes.fingerprint():
            raise errors.Conflict(
                f"this lab is already running at {lab.origin}, process {watcher.pid}",
                hint="`etabli status` shows it, `etabli down` stops it",
            )
        asyncio.run(_let_go(watcher))

    def _running_version(self) -> str:
        try:
            components = self._plan().components
        except (errors.NotFound, errors.Invalid):
            return ""
        return next((one.version for one in components if one.name == processes.PORTAL), "")

    def _announcement(self, loaded: configuration.Configuration) -> str:
        lab = loaded.lab
        lines = [f"Etabli answers at {lab.origin}"]
        if link := self._first_link(lab):
            lines.append(f"Make the administrator, once: {link}")
        if lab.listen == "127.0.0.1":
            lines.append(
                f"From another machine: ssh -L {lab.port}:127.0.0.1:{lab.port} {getpass.getuser()}@{os.uname().nodename}"
            )
        else:
            names = f"`{lab.domain}`, `*.{lab.domain}` and `*.{lab.services_domain}`"
            lines.append(f"Other devices find it once their DNS gives this machine's address for {names}")
        if lab.https and loaded.front_door.own_authority:
            root = self.layout.root_certificate
            lines.append(
                f"They trust it once they have its root certificate, which is no secret: {root}\n"
                "  Phones and browsers import the file; on Debian, as root, beside a copy of it: "
                "`cp root.crt /usr/local/share/ca-certificates/etabli.crt && update-ca-certificates`"
            )
        return "\n".join(lines) + "\n"

    def _first_link(self, lab: settings.LabSettings) -> str | None:
        """Made before the first start; the portal removes the file once somebody has an account."""
        file = self.layout.keys / FIRST_LINK_FILE
        if not self.layout.database.exists():
            files.write_once(file, secrets.token_urlsafe(32))
        try:
            return f"{lab.origin}/welcome?token={file.read_text()}"
        except FileNotFoundError:
            return None

    def _detach(self, argv: Sequence[str], the_plan: models.Plan, announcement: Path) -> None:
        with (self.layout.components / LOG).open("ab") as output:
            started = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
            )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            snapshot = status.read(the_plan)
            if started.poll() is not None:
                raise errors.Refused(
                    _last_words(self.layout.components / LOG), hint="`etabli status` shows the components"
                )
            if any(one.failures >= HOPELESS for one in snapshot.components):
                break
            if snapshot.ready and snapshot.supervisor == started.pid:
                print(announcement.read_text(), end="", flush=True)
                return
            time.sleep(POLL_SECONDS)
        words = "; ".join(
            f"`{one.name}`: {one.words or one.state.value}" for one in status.read(the_plan).components if not one.ready
        )
        raise errors.Unavailable(f"the lab does not answer yet: {words}", hint="`etabli status` follows it")

    def _with_parts(self, work: Callable[[parts.Parts], Coroutine[object, object, Result]]) -> Result:
        """Do something with the rooms that need no running lab."""
        self.layout.make()
        os.environ["PATH"] = processes.search_path(self.environ)

        async def working() -> Result:
            async with parts.opened(self.layout, configuration.load(self.layout), environ=self.environ) as opened:
                return await work(opened)

        return asyncio.run(working())


async def _end_services(opened: parts.Parts) -> int:
    """End every service's sandboxes, as `stop` does, and what projects stand on; the next start brings back those that were to run.

    How many services there were.
    """
    await opened.engine.start()
    records = await opened.services.all() if await opened.has_database() else ()
    handles = [record.service.handle for record in records if record.service.handle is not None]
    for handle in handles:
        await opened.engine.stop(handle, grace=GRACE)
    ended = await asyncio.gather(*(_ended(opened.engine, handle) for handle in handles))
    await opened.engine.close()  # Or it would bring the grounds back.
    await opened.sandboxes.end_grounds()
    return sum(ended)


async def _ended(engine: contract.Engine, handle: contract.Handle) -> bool:
    """Whether a service that was told to stop has, within its grace and a little more."""
    for _ in range(int((GRACE.total_seconds() + 5) / POLL_SECONDS)):
        if (await engine.status(handle)).phase in {contract.Phase.STOPPED, contract.Phase.GONE}:
            return True
        await asyncio.sleep(POLL_SECONDS)
    return False


async def _findings(opened: parts.Parts) -> Sequence[ports.Row]:
    return [
        ports.Row(cells=(one.subject, one.firmness.value, one.message), well=not one.cure, hint=one.cure)
        for one in opened.sandboxes.doctor()
    ]


async def _build(opened: parts.Parts, *, name: str) -> None:
    tree = await opened.environments.ensure(f"etabli/{name}")
    print(f"etabli/{name} {tree.digest[:12]} {_size(tree.size_bytes)}")


async def _renew(opened: parts.Parts) -> str:
    made = await opened.environments.renew_base()
    return f"{made.digest[:12]} {_size(made.size_bytes)}"


async def _lock(opened: parts.Parts, *, name: str) -> Path:
    return await opened.environments.lock(name)


async def _prune(opened: parts.Parts) -> Sequence[str]:
    in_use = await opened.digests_in_use()
    pruned = await opened.environments.prune(in_use=in_use)
    return [*(digest[:12] for digest in pruned.digests), f"{_size(pruned.freed_bytes)} freed"]


async def _environment_rows(opened: parts.Parts) -> Sequence[ports.Row]:
    return [
        ports.Row(
            cells=(
                one.image,
                one.base,
                (one.digest or "")[:12],
                _size(one.tree.size_bytes) if one.tree else "",
                one.problem or ("built" if one.tree else "not built"),
            ),
            well=not one.problem,
        )
        for one in await opened.environments.list()
    ]


async def _let_go(watcher: ProcessRef) -> None:
    """Have another version's supervisor leave everything running, and end."""
    leaving = child.Child(watcher)
    send_signal(watcher, signal.SIGHUP)
    try:
        await asyncio.wait_for(leaving.ended(), HANDOVER_SECONDS)
    except TimeoutError as error:
        raise errors.Unavailable(
            f"process {watcher.pid}, of another version, does not let go of the lab",
            hint="`etabli down`, then `etabli up`",
        ) from error


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " ".join(lines[-3:])[-1000:] or "the supervisor ended at once"


def _size(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
