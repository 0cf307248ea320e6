"""Volumes on the disk: made before a pod's first container, handed to the project's uid, removed with the pod or the service.

A folder has its name only once it is whole and handed over: it is made beside, under a name that no volume can have, and renamed. A
claim's size is what was asked, and nothing holds it there: `Capabilities.limits` says so of the disk.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from etabli.engines.process import launch, models
from etabli.engines.process.runtime import Runtime
from etabli.sandbox import models as sandbox

FOLDER_MODE = 0o755
UNFINISHED = ".unfinished"


async def prepare(runtime: Runtime, ground: sandbox.Ground, service_id: str, pod: models.PodPlan) -> Mapping[str, Path]:
    """The folder of each volume of a pod, made where it is not there."""
    own = runtime.store.pod(service_id, pod.name) / "volumes"
    claims = {
        volume.name: runtime.store.volume(service_id, volume.claim)
        for volume in pod.volumes
        if volume.kind is models.VolumeKind.CLAIM
    }
    await asyncio.gather(
        _whole(runtime, ground, own, partial(_write, pod=pod)),
        *(
            _whole(runtime, ground, folder, partial(_make_inner, sub_paths=_sub_paths(pod, name)))
            for name, folder in claims.items()
        ),
    )
    return {**{name: own / name for name in _own_names(pod)}, **claims}


def missing_sub_paths(folders: Mapping[str, Path], pod: models.PodPlan) -> tuple[tuple[str, str], ...]:
    """`(volume, subPath)` that a claim made by an earlier plan may not have yet."""
    claims = [volume.name for volume in pod.volumes if volume.kind is models.VolumeKind.CLAIM]
    return tuple((name, sub_path) for name in claims for sub_path in _sub_paths(pod, name))


async def _whole(runtime: Runtime, ground: sandbox.Ground, folder: Path, fill: Callable[[Path], None]) -> None:
    if await asyncio.to_thread(folder.is_dir):
        return
    unfinished = folder.with_name(f"{UNFINISHED}-{folder.name}")
    if await asyncio.to_thread(unfinished.exists):  # A killed portal's.
        await runtime.sandboxes.remove_tree(ground, unfinished)
    await asyncio.to_thread(_make, unfinished, fill)
    await runtime.sandboxes.give(ground, unfinished)
    await asyncio.to_thread(os.rename, unfinished, folder)


def _make(folder: Path, fill: Callable[[Path], None]) -> None:
    folder.mkdir(parents=True)
    folder.chmod(FOLDER_MODE)
    fill(folder)


def _own_names(pod: models.PodPlan) -> list[str]:
    kept = [
        volume.name
        for volume in pod.volumes
        if volume.kind is not models.VolumeKind.CLAIM and not launch.in_memory(volume, pod)
    ]
    return kept + [f"{launch.HOME_VOLUME}-{container.name}" for container in (*pod.inits, *pod.containers)]


def _write(folder: Path, pod: models.PodPlan) -> None:
    for name in _own_names(pod):
        (folder / name).mkdir(mode=FOLDER_MODE)
        _make_inner(folder / name, _sub_paths(pod, name))
    for volume in pod.volumes:
        for file in volume.files:
            target = folder / volume.name / file.path
            target.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            target.write_bytes(file.content)
            target.chmod(file.mode)


def _sub_paths(pod: models.PodPlan, volume: str) -> list[str]:
    """Folders that mounts of a volume expect in it; a file of a Secret is there already."""
    files = any(one.name == volume and one.kind is models.VolumeKind.FILES for one in pod.volumes)
    every = (*pod.inits, *pod.containers)
    found = {mount.sub_path for one in every for mount in one.mounts if mount.volume == volume and mount.sub_path}
    return [] if files else sorted(found)


def _make_inner(folder: Path, sub_paths: list[str]) -> None:
    for sub_path in sub_paths:
        (folder / sub_path).mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
