"""Volumes of a pod template read into plans: emptyDir, claims, and the files of Secrets and ConfigMaps. Pure.

No path that a manifest gives ever leaves its volume: keys, `items[].path` and `subPath` are relative and without `..`.
"""

from collections.abc import Mapping

from etabli.engines.process import models, objects, reading
from etabli.engines.process.reading import Node
from etabli.kernel import errors

DEFAULT_MODE = 0o644
_SOURCES = ("emptyDir", "secret", "configMap", "projected", "persistentVolumeClaim")


def read(
    spec: Node, *, pod: str, templates: Mapping[str, int], known: objects.Objects
) -> Mapping[str, models.VolumePlan]:
    """The volumes of one pod by name: those of its spec, and one for each volumeClaimTemplate, whose claim is `<template>-<pod>`."""
    found: dict[str, models.VolumePlan] = {}
    for node in spec.nodes("volumes"):
        volume = _volume(node.check("volume"), known)
        if volume.name in found:
            raise reading.wrong(node.at("name"), volume.name, "used by one volume alone")
        found[volume.name] = volume
    for name, size in templates.items():
        found[name] = models.VolumePlan(name=name, kind=models.VolumeKind.CLAIM, claim=f"{name}-{pod}", size_bytes=size)
    return found


def _volume(node: Node, known: objects.Objects) -> models.VolumePlan:
    name = node.name("name")
    sources = [key for key in _SOURCES if node.content.get(key) is not None or key in node.content]
    if len(sources) != 1:
        raise reading.wrong(node.path, sources, "a volume of one source")
    source = node.node(sources[0])
    match sources[0]:
        case "emptyDir":
            return _empty(name, source.check("emptyDir"))
        case "persistentVolumeClaim":
            claim = known.check_claim(source.check("claim").text("claimName"), source.at("claimName"))
            return models.VolumePlan(
                name=name, kind=models.VolumeKind.CLAIM, claim=claim, size_bytes=known.claims[claim]
            )
        case "projected":
            files = _projected(source.check("projected"), known)
        case kind:
            files = _files(source.check("files"), kind, known, DEFAULT_MODE)
    return models.VolumePlan(name=name, kind=models.VolumeKind.FILES, files=files)


def _empty(name: str, source: Node) -> models.VolumePlan:
    return models.VolumePlan(
        name=name,
        kind=models.VolumeKind.MEMORY if source.text("medium") == "Memory" else models.VolumeKind.EMPTY,
        size_bytes=int(source.quantity("sizeLimit")) if source.has("sizeLimit") else None,
    )


def _projected(source: Node, known: objects.Objects) -> tuple[models.File, ...]:
    mode = _mode(source, "defaultMode", DEFAULT_MODE)
    files: dict[str, models.File] = {}
    for item in source.nodes("sources"):
        item.check("source")
        for kind in ("secret", "configMap"):
            if item.has(kind):
                read_files = _files(item.node(kind).check("files"), kind, known, mode)
                files |= {file.path: file for file in read_files}
    return tuple(files.values())


def _files(source: Node, kind: str, known: objects.Objects, mode: int) -> tuple[models.File, ...]:
    name = source.text("secretName") or source.text("name")
    optional = source.flag("optional")
    path = source.at("secretName" if kind == "secret" else "name")
    data = known.files("Secret" if kind == "secret" else "ConfigMap", name, path, optional=optional)
    if data is None:
        return ()
    mode = _mode(source, "defaultMode", mode)
    if not source.has("items"):
        return tuple(models.File(path=key, content=content, mode=mode) for key, content in data.items())
    return tuple(
        _item(item.check("item"), data, mode)
        for item in source.nodes("items")
        if not optional or item.text("key") in data
    )


def _item(item: Node, data: Mapping[str, bytes], mode: int) -> models.File:
    key = item.text("key")
    if key not in data:
        raise errors.Invalid(
            f"no key `{key[: reading.SHOWN]}`, named at `{item.at('key')}`", fields={item.at("key"): "no such key"}
        )
    return models.File(
        path=reading.check_inner_path(item.text("path"), item.at("path")),
        content=data[key],
        mode=_mode(item, "mode", mode),
    )


def _mode(node: Node, key: str, default: int) -> int:
    return node.whole(key, default, most=0o777)
