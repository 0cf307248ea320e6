"""A pod template read into the plan of one pod: containers, volumes, and that they fit together. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from etabli.engines.process import containers, models, objects, reading, tables, volumes
from etabli.engines.process.reading import Node

GRACE_SECONDS = 30  # Kubernetes' default.
MAX_CONTAINERS = 20  # Of one pod: more is a mistake, and each costs a sandbox.


@dataclass(frozen=True)
class Template:
    """What the pods of one workload share."""

    kind: models.Workload
    node: Node  # The template: metadata and spec.
    claims: Mapping[str, int] = field(default_factory=dict)  # volumeClaimTemplates: name → bytes.
    subdomain: str = ""  # A StatefulSet's headless Service.
    tries: int | None = None  # A Job's backoffLimit.

    @property
    def labels(self) -> Mapping[str, str]:
        return self.node.node("metadata").strings("labels")


def read(template: Template, name: str, known: objects.Objects, *, uid: str) -> models.PodPlan:
    """The pod called `name`. `uid` is what `metadata.uid` tells it: stable over restarts of the portal."""
    spec = template.node.node("spec").check("pod")
    spec.node("securityContext").check("pod security")
    reader = containers.Reader(known=known, pod=_identity(template, name, known, uid))
    inits = tuple(reader.read(node) for node in spec.nodes("initContainers"))
    mains = tuple(reader.read(node) for node in spec.nodes("containers"))
    _check_names((*inits, *mains), spec, mains)
    found = volumes.read(spec, pod=name, templates=template.claims, known=known)
    _check_mounts((*inits, *mains), found, spec)
    return models.PodPlan(
        name=name,
        labels=template.labels,
        containers=mains,
        inits=inits,
        volumes=tuple(found.values()),
        restart=_restart(spec, template.kind),
        tries=template.tries,
        grace_seconds=spec.whole("terminationGracePeriodSeconds", GRACE_SECONDS, most=3600),
        hostname=spec.name("hostname") if spec.has("hostname") else name,
        subdomain=spec.name("subdomain") if spec.has("subdomain") else template.subdomain,
    )


def _identity(template: Template, name: str, known: objects.Objects, uid: str) -> containers.Identity:
    return containers.Identity(
        name=name,
        namespace=known.namespace,
        labels=template.labels,
        annotations=template.node.node("metadata").strings("annotations"),
        service_account=template.node.node("spec").text("serviceAccountName", "default"),
        uid=uid,
    )


def _restart(spec: Node, kind: models.Workload) -> models.Restart:
    """Jobs end, everything else goes on: as Kubernetes, another policy is refused for each."""
    text = spec.text("restartPolicy", "" if kind is models.Workload.JOB else models.Restart.ALWAYS)
    allowed = (
        (models.Restart.ON_FAILURE, models.Restart.NEVER) if kind is models.Workload.JOB else (models.Restart.ALWAYS,)
    )
    if text in allowed:
        return models.Restart(text)
    raise reading.wrong(spec.at("restartPolicy"), text, " or ".join(f"`{one}`" for one in allowed))


def _check_names(every: tuple[models.ContainerPlan, ...], spec: Node, mains: tuple[models.ContainerPlan, ...]) -> None:
    if not mains or len(every) > MAX_CONTAINERS:
        raise reading.wrong(spec.at("containers"), len(every), f"a list of 1 to {MAX_CONTAINERS} containers")
    if repeated := _repeated(one.name for one in every):
        raise reading.wrong(spec.at("containers"), repeated, "names used once each")


def _check_mounts(every: tuple[models.ContainerPlan, ...], known: Mapping[str, models.VolumePlan], spec: Node) -> None:
    for container in every:
        for mount in container.mounts:
            if mount.volume not in known:
                raise reading.wrong(spec.at("volumes"), mount.volume, f"what `{container.name}` mounts")
            if mount.sub_path and known[mount.volume].kind is models.VolumeKind.MEMORY:
                raise tables.refusal("subPath", "a volume in memory is mounted whole")
        if repeated := _repeated(mount.path for mount in container.mounts):
            raise reading.wrong(spec.at("containers"), repeated, "a place mounted once")


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
