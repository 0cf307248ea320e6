"""From a container's plan and what is known once its pod has an address to the sandbox that runs it. Pure.

Variables, lowest first: the sandbox's defaults, the environment's, the container's own. `$(NAME)` is replaced as Kubernetes does. The
home folder (`HOME`, wherever the environment or the chart says it is) can always be written: where no volume covers it, it is a folder
that goes with the pod.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from etabli.engines.process import models, variables
from etabli.sandbox import models as sandbox

HOME = "/home/etabli"  # Where neither the chart nor the environment says.
DEFAULTS = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": HOME}
HOME_VOLUME = ".home"  # No volume of a manifest can be called so.


def environment(
    container: models.ContainerPlan, pod: models.PodPlan, *, root: sandbox.Root, address: str, gateway: str
) -> Mapping[str, str]:
    """The whole environment inside."""
    started = {models.Field.POD_IP: address, models.Field.HOST_IP: gateway}
    env = {**DEFAULTS, **root.env, "HOSTNAME": pod.hostname}
    said: dict[str, str] = {}  # `$(NAME)` sees what the manifest said before, and no more.
    for variable in container.env:
        if variable.field is not None:
            said[variable.name] = started[variable.field]
        else:
            said[variable.name] = variable.value if variable.literal else variables.expand(variable.value, said)
    return env | said


def home_folder(container: models.ContainerPlan, home: str) -> bool:
    """Whether the home folder needs one of its own: no volume is mounted at it or above it."""
    above = {str(path) for path in (PurePosixPath(home), *PurePosixPath(home).parents)}
    return home.startswith("/") and home != "/" and not any(mount.path in above for mount in container.mounts)


def specification(
    container: models.ContainerPlan,
    pod: models.PodPlan,
    *,
    id: str,  # noqa: A002 - It is the specification's own word.
    root: sandbox.Root,
    env: Mapping[str, str],
    folders: Mapping[str, Path],
    hosts: Path,
    memory_bytes: int,
) -> sandbox.SandboxSpec:
    """What to start. `folders` has a folder for each volume that is one; `memory_bytes` is the limit where the chart sets none."""
    mounts = [_mount(mount, pod, folders) for mount in container.mounts]
    if home_folder(container, env["HOME"]):
        mounts.append(sandbox.Mount(target=env["HOME"], source=folders[f"{HOME_VOLUME}-{container.name}"]))
    mounts.append(sandbox.Mount(target=sandbox.HOSTS_FOLDER, source=hosts, read_only=True))
    return sandbox.SandboxSpec(
        id=id,
        argv=tuple(variables.expand(argument, env) for argument in container.argv),
        root=root,
        env=env,
        cwd=container.cwd or env["HOME"],
        hostname=pod.hostname,
        mounts=tuple(sorted(mounts, key=lambda mount: mount.target.count("/"))),  # What is above is mounted first.
        limits=sandbox.Limits(
            cpu=container.limits.cpu or None, memory_bytes=container.limits.memory_bytes or memory_bytes or None
        ),
    )


def shared_memory(pod: models.PodPlan, volume: str) -> bool:
    """Whether several containers see a volume, which then cannot be a sandbox's own tmpfs."""
    users = [one for one in (*pod.inits, *pod.containers) if any(mount.volume == volume for mount in one.mounts)]
    return len(users) > 1


def in_memory(volume: models.VolumePlan, pod: models.PodPlan) -> bool:
    """Whether a volume is a tmpfs of the sandbox, and no folder."""
    return volume.kind is models.VolumeKind.MEMORY and not shared_memory(pod, volume.name)


def _mount(mount: models.MountPlan, pod: models.PodPlan, folders: Mapping[str, Path]) -> sandbox.Mount:
    volume = next(one for one in pod.volumes if one.name == mount.volume)
    if in_memory(volume, pod):
        return sandbox.Mount(target=mount.path, read_only=mount.read_only, size_bytes=volume.size_bytes)
    source = folders[mount.volume]
    return sandbox.Mount(
        target=mount.path,
        source=source,
        subpath=mount.sub_path,
        read_only=mount.read_only or volume.kind is models.VolumeKind.FILES,
    )
