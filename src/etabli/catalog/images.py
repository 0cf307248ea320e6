"""Which images manifests name: every container of every pod, wherever the pod's template lies."""

from collections.abc import Iterable, Iterator, Mapping

CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
MAX_DEPTH = 32


def named(manifests: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """The images, each once, in the order in which they are named."""
    return tuple(dict.fromkeys(image for manifest in manifests for image in _images(manifest, MAX_DEPTH)))


def _images(value: object, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in CONTAINERS and isinstance(item, list):
                yield from (c["image"] for c in item if isinstance(c, Mapping) and isinstance(c.get("image"), str))
            else:
                yield from _images(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            yield from _images(item, depth - 1)
