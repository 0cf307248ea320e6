"""Grounds: found running, healed, or made; with their agent, their internet, their pods' networks and their rules.

Everything that a ground needs again after any of its processes died is recorded in its folder, so `ensure` converges whatever is
missing: a dead holder is replaced by one in the same namespaces, and pods that still run are plugged in again.
"""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import structlog

from etabli.kernel import errors, files, processes
from etabli.kernel.processes import ProcessRef
from etabli.sandbox import background, holder, ids, internet, models, network, relay, supervision
from etabli.sandbox.settings import SandboxSettings
from etabli.sandbox.spawning import Spawner

log = structlog.get_logger()

GROUNDS_FOLDER = "g"  # Under the run folder, short: a socket's path has at most 107 bytes (unix(7)).
AGENT_FILE, PASTA_FILE, PODS_FOLDER, SERVICES_FILE = "agent.json", "pasta.json", "pods", "services.json"
WHOLE_FILE = "whole.json"  # The holder that has all that belongs to it.
_COME_UP = timedelta(seconds=5)  # How long pasta or an agent may take.
_POLL_S = 0.01
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

RecordedPod: TypeAlias = tuple[str, str, Sequence[ProcessRef]]  # Its id, its address, and its sandboxes that still run.


@dataclass(frozen=True)
class Plan:
    """What a ground is to be: decided by its number alone."""

    id: str
    folder: Path
    identities: ids.Identities | None  # None for an enclave.
    router: network.Router | None


class Grounds:
    """The grounds of one lab."""

    def __init__(
        self,
        *,
        state: Path,
        run: Path,
        settings: SandboxSettings,
        spawner: Spawner,
        loopback_port: int | None = None,
    ) -> None:
        self._state, self._run, self._settings, self._spawner = state, run, settings, spawner
        self._loopback_port = loopback_port
        self._locks: dict[str, asyncio.Lock] = {}
        self._starting: dict[Path, asyncio.Lock] = {}  # Of agents, by ground: two of them would want the same sockets.

    def plan(self, ground_id: str, *, enclave: bool) -> Plan:
        """What the ground of this id is to be. Refused where the machine has no ids left."""
        folder = self._run / GROUNDS_FOLDER / ground_id
        if enclave:
            return Plan(ground_id, folder, None, None)
        index = ids.ground_index(files.private_folder(self._state), ground_id)
        subordinate = ids.find_subordinate_ids() if self._settings.subordinate_ids else None
        block, host = divmod(index % (64 * 256), 256)
        router = network.Router(gateway=f"10.{64 + block}.{host}.1", services=f"10.{128 + block}.{host}.0/24")
        return Plan(ground_id, folder, ids.identities(index, subordinate), router)

    def identities_of(self, uid: int) -> ids.Identities:
        """Who the sandboxes of the ground with this host uid are."""
        subordinate = ids.find_subordinate_ids() if self._settings.subordinate_ids else None
        index = uid - subordinate.uid if subordinate is not None else 0
        return ids.identities(index, subordinate if index > 0 else None)

    async def ensure(self, plan: Plan) -> models.Ground:
        """The ground, with all that belongs to it running."""
        async with self._locks.setdefault(plan.id, asyncio.Lock()):
            for folder in (plan.folder, plan.folder / holder.KEPT_FOLDER, plan.folder / PODS_FOLDER):
                files.private_folder(folder)
            held = processes.load(plan.folder / holder.HOLDER_FILE)
            if held is None or not processes.is_alive(held):
                held = await self._make_holder(plan)
            elif processes.load(plan.folder / WHOLE_FILE) != held:  # Whoever made it was killed before it was whole.
                await self._restore(plan, holder.Held(held, network_kept=False))
            await self._ensure_agent(plan.folder, held)
            connected = plan.router is not None and await self._ensure_internet(plan, held)
            return self._ground(plan, held, connected=connected)

    async def remove(self, plan: Plan) -> None:
        """End the ground's own processes; the kernel takes its namespaces apart. What it wrote under `run` goes too."""
        async with self._locks.setdefault(plan.id, asyncio.Lock()):
            for name in (AGENT_FILE, PASTA_FILE, holder.HOLDER_FILE):
                ref = processes.load(plan.folder / name)
                if ref is not None and processes.send_signal(ref, signal.SIGKILL):
                    await supervision.wait(ref)
            self._remove_sockets(plan.folder)
            await asyncio.to_thread(shutil.rmtree, plan.folder, ignore_errors=True)

    async def remove_all(self) -> None:
        """End every ground of this lab that stands."""
        for folder in list((self._run / GROUNDS_FOLDER).glob("*")):
            await self.remove(Plan(folder.name, folder, identities=None, router=None))

    async def ensure_pod(self, ground: models.Ground, pod_id: str, address: str) -> None:
        """Make a pod's network unless it is there."""
        record = ground.folder / PODS_FOLDER / f"{pod_id}.json"
        await self._plug(ground.holder, ground.folder, pod_id, address, gateway=ground.gateway)
        if not record.exists():
            _write_pod(record, address, ())

    def note_sandbox(self, pod: models.PodNetwork, ref: ProcessRef) -> None:
        """Remember that a process lives in a pod's network: it keeps it open when the holder dies."""
        record = pod.ground.folder / PODS_FOLDER / f"{pod.id}.json"
        known = json.loads(record.read_text())
        earlier = [ProcessRef(**one) for one in known["sandboxes"]]
        _write_pod(record, pod.address, [*(one for one in earlier if processes.is_alive(one)), ref])

    async def remove_pod(self, ground: models.Ground, pod_id: str) -> None:
        """Forget a pod's network."""
        kept = ground.folder / holder.KEPT_FOLDER
        await self._spawner.ask(network.UnplugPod(ground.holder, kept, pod_id), bool)
        (ground.folder / PODS_FOLDER / f"{pod_id}.json").unlink(missing_ok=True)

    async def set_services(self, ground: models.Ground, services: Sequence[models.VirtualService]) -> None:
        """Replace the Services."""
        router = network.Router(ground.gateway, ground.services)
        await self._load_rules(ground.holder, network.rules(router, services))
        files.write_atomically(ground.folder / SERVICES_FILE, json.dumps([asdict(service) for service in services]))

    async def set_relays(
        self, ground: models.Ground, relays: Sequence[models.InwardRelay | models.OutwardRelay]
    ) -> None:
        """Replace the relays, and wait until the agent has them."""
        files.write_atomically(ground.folder / relay.RULES_FILE, json.dumps([_rule(one) for one in relays]))
        failed = await self._tell_agent(ground.folder)
        if failed is None:
            await self._ensure_agent(ground.folder, ground.holder)
            failed = await self._tell_agent(ground.folder)
        if failed is None:
            raise errors.Unavailable("the project's relays do not come up", hint=f"see `{ground.folder}/agent.log`")
        if failed:
            raise errors.Refused(f"relays cannot be made: {'; '.join(failed)[:500]}")

    async def hang_up(self, folder: Path) -> None:
        """End every connection from the machine into a ground. A ground that is not there has none."""
        await self._tell_agent(folder, relay.HANG_UP)

    async def _make_holder(self, plan: Plan) -> ProcessRef:
        heirs = [processes.load(plan.folder / name) for name in (AGENT_FILE, PASTA_FILE)]
        cousins = [ref for _pod, _address, refs in _pods(plan.folder) for ref in refs]
        command = holder.MakeHolder(
            folder=plan.folder,
            identities=plan.identities,
            router=plan.router,
            heirs=[ref for ref in heirs if ref is not None],
            cousins=cousins,
        )
        held = await self._spawner.ask(command, holder.Held)
        await self._restore(plan, held)
        log.info("ground made", ground=plan.id, network_kept=held.network_kept, processes=len(cousins))
        return held.holder

    async def _restore(self, plan: Plan, held: holder.Held) -> None:
        """What belonged to the holder that was there before, if there was one; then it is whole."""
        if plan.router is not None:
            if not held.network_kept:
                await self._renew_network(plan, plan.router, held.holder)
            for pod, address, refs in _pods(plan.folder):
                if refs:
                    gateway, plug = plan.router.gateway, not held.network_kept
                    await self._plug(held.holder, plan.folder, pod, address, gateway=gateway, source=refs[0], plug=plug)
        processes.save(held.holder, plan.folder / WHOLE_FILE)

    async def _renew_network(self, plan: Plan, router: network.Router, held: ProcessRef) -> None:
        """A router that was just made: its rules; and nobody who served another one serves on."""
        for name in (AGENT_FILE, PASTA_FILE):
            ref = processes.load(plan.folder / name)
            if ref is not None:
                processes.send_signal(ref, signal.SIGKILL)
        stored = plan.folder / SERVICES_FILE
        services = [_service(one) for one in json.loads(stored.read_text())] if stored.exists() else []
        if self._tool("nft", self._settings.nft) is not None:
            await self._load_rules(held, network.rules(router, services))

    async def _plug(
        self,
        held: ProcessRef,
        folder: Path,
        pod_id: str,
        address: str,
        *,
        gateway: str,
        source: ProcessRef | None = None,
        plug: bool = True,
    ) -> None:
        command = network.PlugPod(
            holder=held,
            kept=folder / holder.KEPT_FOLDER,
            pod=pod_id,
            address=address,
            gateway=gateway,
            shared_memory_bytes=self._settings.shared_memory_bytes,
            source=source,
            plug=plug,
            loopback_port=self._loopback_port,
            nft=self._tool("nft", self._settings.nft),
        )
        await self._spawner.ask(command, bool)

    async def _load_rules(self, held: ProcessRef, rules: str) -> None:
        nft = self._tool("nft", self._settings.nft)
        if nft is None:
            raise errors.Unavailable(
                "`nft` is missing: Services have no address without it", hint="install the package `nftables`"
            )
        await self._spawner.ask(network.SetRules(held, nft, rules), bool)

    async def _ensure_agent(self, folder: Path, held: ProcessRef) -> None:
        async with self._starting.setdefault(folder, asyncio.Lock()):
            await self._start_agent(folder, held)

    async def _start_agent(self, folder: Path, held: ProcessRef) -> None:
        known = processes.load(folder / AGENT_FILE)
        if known is not None and processes.is_alive(known):
            return
        if not (folder / relay.RULES_FILE).exists():
            return  # Nothing to relay yet: an agent costs memory.
        (folder / relay.CONTROL_SOCKET).unlink(missing_ok=True)
        command = background.StartProcess(
            argv=(sys.executable, "-I", "-S", relay.__file__, str(folder)),
            env={},
            cwd=Path("/"),
            log=folder / "agent.log",
            record=folder / AGENT_FILE,
            inside=held,
        )
        ref = await self._spawner.ask(command, ProcessRef)
        await _until((folder / relay.CONTROL_SOCKET).exists, alive=ref)

    async def _tell_agent(self, folder: Path, line: bytes = b"\n") -> list[str] | None:
        """Have the agent read its rules; answers what it could not do, None where it does not answer."""
        try:
            reader, writer = await asyncio.open_unix_connection(folder / relay.CONTROL_SOCKET)
        except OSError:
            return None
        try:
            writer.write(line)
            async with asyncio.timeout(_COME_UP.total_seconds()):
                answer = await reader.readline()
        except (OSError, TimeoutError):
            return None
        finally:
            writer.close()
        failed: list[str] | None = json.loads(answer) if answer else None
        return failed

    async def _ensure_internet(self, plan: Plan, held: ProcessRef) -> bool:
        pasta = self._tool("pasta", self._settings.pasta)
        if not self._settings.internet or pasta is None or self._tool("nft", self._settings.nft) is None:
            return False
        known = processes.load(plan.folder / PASTA_FILE)
        if known is not None and processes.is_alive(known):
            return True
        ready, output = plan.folder / "pasta.ready", plan.folder / "pasta.log"
        ready.unlink(missing_ok=True)
        command = background.StartProcess(
            argv=internet.command(pasta, held, ready=ready),
            env={"PATH": _SYSTEM_PATH},
            cwd=Path("/"),
            log=output,
            record=plan.folder / PASTA_FILE,
        )
        ref = await self._spawner.ask(command, ProcessRef)
        if await _until(ready.exists, alive=ref):
            return True
        log.warning("no internet for a project", ground=plan.id, said=supervision.last_words(output))
        return False

    def _ground(self, plan: Plan, held: ProcessRef, *, connected: bool) -> models.Ground:
        own = plan.identities.uid if plan.identities is not None else plan.folder.stat().st_uid
        if plan.router is None:
            return models.Ground(id=plan.id, folder=plan.folder, uid=own, holder=held)
        servers = internet.nameservers(internet.machine_settings()) if connected else ()
        return models.Ground(
            id=plan.id,
            folder=plan.folder,
            uid=own,
            holder=held,
            gateway=plan.router.gateway,
            services=plan.router.services,
            internet=connected,
            nameservers=tuple(servers),
        )

    def _tool(self, name: str, chosen: Path | None) -> Path | None:
        found = shutil.which(str(chosen) if chosen is not None else name, path=_SYSTEM_PATH)
        return None if found is None else Path(found)

    def _remove_sockets(self, folder: Path) -> None:
        try:
            rules = json.loads((folder / relay.RULES_FILE).read_text())
        except FileNotFoundError:
            return
        for rule in rules:
            if rule["direction"] == "inward":
                Path(rule["socket"]).unlink(missing_ok=True)


def _pods(folder: Path) -> Sequence[RecordedPod]:
    """Every pod recorded on a ground."""
    found = []
    for record in sorted((folder / PODS_FOLDER).glob("*.json")):
        known = json.loads(record.read_text())
        refs = [ProcessRef(**one) for one in known["sandboxes"]]
        found.append((record.stem, str(known["address"]), [ref for ref in refs if processes.is_alive(ref)]))
    return found


def _write_pod(record: Path, address: str, refs: Sequence[ProcessRef]) -> None:
    """Whole or not at all; not durably: after a reboot there is no pod."""
    temporary = record.with_suffix(".new")
    temporary.write_text(json.dumps({"address": address, "sandboxes": [asdict(ref) for ref in refs]}))
    temporary.rename(record)


def _rule(one: models.InwardRelay | models.OutwardRelay) -> dict[str, object]:
    rule: dict[str, object] = {"socket": str(one.socket), "address": one.address, "port": one.port}
    if isinstance(one, models.InwardRelay):
        return {**rule, "direction": "inward"}
    return {**rule, "direction": "outward", "preface": one.preface}


def _service(stored: dict[str, object]) -> models.VirtualService:
    endpoints = stored["endpoints"]
    assert isinstance(endpoints, list)
    return models.VirtualService(
        address=str(stored["address"]),
        port=int(str(stored["port"])),
        endpoints=tuple((str(address), int(port)) for address, port in endpoints),
        protocol=str(stored["protocol"]),
    )


async def _until(done: Callable[[], bool], *, alive: ProcessRef) -> bool:
    """Wait until something is there; False where the process that is to make it died, or takes too long."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _COME_UP.total_seconds()
    while not done():
        if loop.time() > deadline or not processes.is_alive(alive):
            return done()
        await asyncio.sleep(_POLL_S)
    return True
