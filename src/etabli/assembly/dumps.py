"""A service's own dump: a command that its chart names, run inside its pods right before their volumes are copied.

A pod template annotated `etabli.fr/backup: COMMAND` has COMMAND run by `/bin/sh -c` in its first container, with that container's
variables, in each pod that runs. It writes into a volume what is whole by itself (`pg_dumpall > /var/lib/data/dump.sql`). One that
fails or takes too long is counted and said; the volume is then copied as the disk has it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import structlog

from etabli.assembly import parts
from etabli.engines.process import launch, store
from etabli.kernel import errors

log = structlog.get_logger()

ANNOTATION = "etabli.fr/backup"
PATIENCE = timedelta(minutes=30)


async def dump(opened: parts.Parts) -> tuple[int, int]:
    """Have every service that runs and says how dump itself: how many pods did, and how many failed."""
    done = failed = 0
    kept = store.Store(opened.layout.engine)
    for record in await opened.services.all():
        revision = await opened.services.revision(record.service.id, record.service.revision)
        for labels, command in commands(revision.manifests):
            for pod in kept.pods(record.service.id):
                answer = await _run(opened, kept, record.service.id, pod, labels, command)
                done, failed = done + (answer is True), failed + (answer is False)
    return done, failed


def commands(manifests: Sequence[Mapping[str, object]]) -> Iterator[tuple[Mapping[str, str], str]]:
    """The labels of each pod template that says how it is dumped, and the command."""
    for manifest in manifests:
        metadata = _mapping(_mapping(_mapping(manifest.get("spec")).get("template")).get("metadata"))
        command = _mapping(metadata.get("annotations")).get(ANNOTATION)
        if isinstance(command, str) and command.strip():
            yield {key: str(value) for key, value in _mapping(metadata.get("labels")).items()}, command


async def _run(
    opened: parts.Parts, kept: store.Store, service_id: str, name: str, labels: Mapping[str, str], command: str
) -> bool | None:
    """Whether the dump went well; None where the pod is another's, or does not run."""
    pod = kept.load_pod(service_id, name)
    if pod is None or not labels.items() <= pod.plan.labels.items():
        return None
    container = pod.plan.containers[0]
    held = pod.containers.get(container.name)
    if held is None:
        return None
    folder = kept.sandbox(service_id, name, container.name, held.attempt)
    try:
        root = await opened.environments.root(container.digest)
        env = launch.environment(container, pod.plan, root=root, address="", gateway="")
        argv = ("/bin/sh", "-c", command)
        cwd = container.cwd or env["HOME"]
        answer = await opened.sandboxes.exec(folder, argv, env=env, timeout=PATIENCE, cwd=cwd)
    except errors.NotFound:
        return None
    except errors.EtabliError as error:
        log.warning("a service's own dump failed", service=service_id, reason=error.message)
        return False
    if answer.exit_code != 0:
        words = answer.output.decode(errors="replace")[-300:]
        log.warning("a service's own dump failed", service=service_id, exit_code=answer.exit_code, words=words)
    return answer.exit_code == 0


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
