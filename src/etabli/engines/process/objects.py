"""What pods of a release refer to: its Secrets, ConfigMaps, claims and images, read from its own manifests and nothing else.

A release sees no Secret or volume of another: a reference that its own manifests do not answer is refused before anything starts.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from etabli.engines.process import reading
from etabli.engines.process.reading import Node
from etabli.kernel import errors

MAX_DATA_BYTES = 1 << 20  # Of one Secret or ConfigMap, as in Kubernetes.
DEFAULT_CLAIM_BYTES = 1 << 30


@dataclass(frozen=True)
class Objects:
    """By name. `images` maps an image as manifests name it to its environment's digest."""

    secrets: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    config_maps: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    claims: Mapping[str, int] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "default"

    def digest(self, image: str, path: str) -> str:
        """The environment of `image`; NotFound by name where the lab has none."""
        if image in self.images:
            return self.images[image]
        raise errors.NotFound(
            f"no environment is known for the image `{image[:200]}`, at `{path}`",
            hint="`etabli environments list` shows those that can be named",
            image=image[:200],
        )

    def files(self, kind: str, name: str, path: str, *, optional: bool) -> Mapping[str, bytes] | None:
        """The data of a `Secret` or `ConfigMap`; None where it is absent and may be."""
        found = (self.secrets if kind == "Secret" else self.config_maps).get(name)
        if found is None and not optional:
            raise _absent(f"{kind} `{name[: reading.SHOWN]}`", path)
        return found

    def value(self, kind: str, reference: Node) -> bytes | None:
        """What a `secretKeyRef` or `configMapKeyRef` names; None where it is absent and may be."""
        optional, key = reference.flag("optional"), reference.text("key")
        data = self.files(kind, reference.text("name"), reference.at("name"), optional=optional)
        if data is not None and key in data:
            return data[key]
        if optional:
            return None
        raise _absent(f"key `{key[: reading.SHOWN]}`", reference.at("key"))

    def check_claim(self, name: str, path: str) -> str:
        """`name` where the release has such a claim."""
        if name in self.claims:
            return name
        raise _absent(f"PersistentVolumeClaim `{name[: reading.SHOWN]}`", path)


def secret_data(manifest: Node) -> Mapping[str, bytes]:
    """The data of a Secret: `data` decoded from base64, `stringData` over it."""
    data = {key: _decode(text, f"data.{key}") for key, text in manifest.strings("data").items()}
    data |= {key: text.encode() for key, text in manifest.strings("stringData").items()}
    return _checked(data)


def config_data(manifest: Node) -> Mapping[str, bytes]:
    """The data of a ConfigMap: `data`, and `binaryData` decoded from base64."""
    data = {key: text.encode() for key, text in manifest.strings("data").items()}
    data |= {key: _decode(text, f"binaryData.{key}") for key, text in manifest.strings("binaryData").items()}
    return _checked(data)


def claim_bytes(spec: Node) -> int:
    """The size that a claim asks for."""
    spec.check("pvc")
    requests = spec.node("resources").node("requests")
    if not requests.has("storage"):
        return DEFAULT_CLAIM_BYTES
    return int(requests.quantity("storage"))


def _decode(text: str, path: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.Invalid(f"`{path[:200]}` is not base64", fields={path[:200]: "must be base64"}) from error


def _checked(data: Mapping[str, bytes]) -> Mapping[str, bytes]:
    for key in data:
        reading.check_name(key, "data", reading.FILE_KEY)
        if key in (".", "..") or key.startswith(".."):
            raise reading.wrong("data", key, "a name of a file")
    if sum(map(len, data.values())) > MAX_DATA_BYTES:
        raise errors.Invalid("a Secret or ConfigMap holds more than 1 MiB", fields={"data": "at most 1 MiB"})
    return data


def _absent(what: str, path: str) -> errors.Invalid:
    return errors.Invalid(
        f"this release has no {what}, named at `{path}`",
        hint="a release sees only what its own manifests make",
        fields={path: "not part of this release"},
    )
