"""What services do to manifests between the chart and the engine, as pure functions.

- `seal` takes Secret data out, for the vault, and `unseal` puts it back: what the database holds tells no secret.
- `identify` gives every pod the service's token and variables: the chart's author never sees them.
- `trust` gives every pod the authorities that sign the lab's own addresses, each time it starts.
- the rest reads: images, host names, what is requested.
"""

import base64
import copy
from collections.abc import Iterator, Mapping
from typing import cast

from etabli.engines import contract
from etabli.kernel import errors, quantities
from etabli.services import ports

IMAGE_PREFIX = "etabli/"
IDENTITY_VOLUME = "etabli-identity"
IDENTITY_FOLDER = "/run/etabli"
TOKEN_KEY = "token"
AUTHORITIES_KEY = "authorities.pem"
REFERENCE = "etabli.vault/key"  # The annotation of a Secret whose data lies in the vault.

_TEMPLATE_KINDS = frozenset({"Deployment", "StatefulSet", "Job", "ReplicaSet", "DaemonSet"})

Tree = dict[str, object]


def seal(manifests: tuple[contract.Manifest, ...]) -> tuple[tuple[contract.Manifest, ...], dict[str, str]]:
    """Manifests without Secret data, and that data as `name/key` → base64 text."""
    sealed: list[contract.Manifest] = []
    data: dict[str, str] = {}
    for manifest in manifests:
        if manifest.get("kind") != "Secret":
            sealed.append(manifest)
            continue
        name = _name(manifest)
        for key, value in _secret_data(manifest).items():
            data[f"{name}/{key}"] = value
        bare = {key: value for key, value in manifest.items() if key not in {"data", "stringData"}}
        metadata = dict(_mapping(bare.get("metadata")))
        metadata["annotations"] = {**_mapping(metadata.get("annotations")), REFERENCE: name}
        sealed.append({**bare, "metadata": metadata})
    return tuple(sealed), data


def unseal(manifests: tuple[contract.Manifest, ...], data: Mapping[str, str]) -> tuple[contract.Manifest, ...]:
    """The manifests that `seal` was given."""
    return tuple(_unseal_one(manifest, data) for manifest in manifests)


def identify(
    manifests: tuple[contract.Manifest, ...],
    *,
    service_id: str,
    token: str,
    variables: Mapping[str, str],
    secret_variables: Mapping[str, str],
) -> tuple[contract.Manifest, ...]:
    """Give every pod the token as a file and the variables, where the chart did not set one of that name itself."""
    name = f"etabli-{service_id}"
    secret: contract.Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "Opaque",
        "data": {TOKEN_KEY: _b64(token)},
    }
    environment: contract.Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{name}-env"},
        "type": "Opaque",
        "data": {key: _b64(value) for key, value in secret_variables.items()},
    }
    changed = [_identify_one(manifest, name=name, variables=variables) for manifest in manifests]
    return (*changed, secret, environment)


def trust(
    manifests: tuple[contract.Manifest, ...], *, service_id: str, authorities: ports.Authorities
) -> tuple[contract.Manifest, ...]:
    """Put a list of authorities beside the token that `identify` gave, and in the place of the system's; variables name it too.

    As everywhere, what a container sets itself wins. Without a list of ours, variables name the one that is there.
    """
    if authorities == ports.Authorities():
        return manifests
    return tuple(_trust_one(manifest, f"etabli-{service_id}", authorities) for manifest in manifests)


def token_entry(service_id: str) -> str:
    """Where `seal` puts the vault token that `identify` was given."""
    return f"etabli-{service_id}-env/VAULT_TOKEN"


def encode(text: str) -> str:
    """A value as Secret data holds it."""
    return _b64(text)


def images(manifests: tuple[contract.Manifest, ...]) -> tuple[str, ...]:
    """Every image that the pods name, each once, in order."""
    found = (container.get("image") for template in _templates(manifests) for container in _containers(template))
    return tuple(dict.fromkeys(image for image in found if isinstance(image, str)))


def hosts(manifests: tuple[contract.Manifest, ...], *, service_id: str, domain: str) -> tuple[str, ...]:
    """The host names that its Ingresses claim.

    Refused where one is not the service's own: a single label under `domain`, with the service's id between dashes in it.
    """
    claimed: dict[str, None] = {}
    for manifest in manifests:
        if manifest.get("kind") != "Ingress":
            continue
        for rule in _list(_mapping(manifest.get("spec")).get("rules")):
            host = str(_mapping(rule).get("host", "")).lower()
            label, _, parent = host.partition(".")
            if parent != domain or service_id not in label.split("-"):
                raise errors.Refused(
                    f"this chart claims the address `{host[:100]}`, which is not this service's own",
                    hint="its Ingress host must be `{{project.id}}-{{k8s.randomSubdomain}}-0.{{k8s.domain}}` or alike",
                )
            claimed[host] = None
    return tuple(claimed)


def resources(manifests: tuple[contract.Manifest, ...], kind: str) -> contract.Resources:
    """What all pods together have as `requests` or `limits`: cores and bytes. A request left out is its limit, as in Kubernetes."""
    cpu, memory = 0.0, 0
    for manifest in manifests:
        template = _template(manifest)
        if template is None:
            continue
        replicas = _mapping(manifest.get("spec")).get("replicas", 1)
        count = replicas if isinstance(replicas, int) else 1
        for container in _list(_mapping(template.get("spec")).get("containers")):
            declared = _mapping(_mapping(container).get("resources"))
            limits = _mapping(declared.get("limits"))
            asked = {**limits, **_mapping(declared.get(kind))}
            cpu += count * quantities.cores(asked.get("cpu", 0))
            memory += count * quantities.size(asked.get("memory", 0))
    return contract.Resources(cpu=cpu, memory_bytes=memory)


def _unseal_one(manifest: contract.Manifest, data: Mapping[str, str]) -> contract.Manifest:
    metadata = dict(_mapping(manifest.get("metadata")))
    annotations = dict(_mapping(metadata.get("annotations")))
    if manifest.get("kind") != "Secret" or REFERENCE not in annotations:
        return manifest
    name = annotations.pop(REFERENCE)
    metadata["annotations"] = annotations
    if not annotations:
        del metadata["annotations"]
    own = {key.partition("/")[2]: value for key, value in data.items() if key.partition("/")[0] == name}
    return {**manifest, "metadata": metadata, "data": own}


def _secret_data(manifest: contract.Manifest) -> dict[str, str]:
    plain = {key: _b64(str(value)) for key, value in _mapping(manifest.get("stringData")).items()}
    encoded = {key: str(value) for key, value in _mapping(manifest.get("data")).items()}
    return {**encoded, **plain}  # stringData wins, as in Kubernetes.


def _identify_one(manifest: contract.Manifest, *, name: str, variables: Mapping[str, str]) -> contract.Manifest:
    if _template(manifest) is None:
        return manifest
    changed = cast("Tree", copy.deepcopy(manifest))
    template = cast("Tree", _template(changed))
    spec = cast("Tree", template.setdefault("spec", {}))
    volumes = cast("list[object]", spec.setdefault("volumes", []))
    volumes.append({"name": IDENTITY_VOLUME, "secret": {"secretName": name, "defaultMode": 0o440}})
    for container in _containers(template):
        tree = cast("Tree", container)
        mounts = cast("list[object]", tree.setdefault("volumeMounts", []))
        mounts.append({"name": IDENTITY_VOLUME, "mountPath": IDENTITY_FOLDER, "readOnly": True})
        _add_variables(tree, variables)
        # First in envFrom, so that what the chart sets itself wins.
        tree["envFrom"] = [{"secretRef": {"name": f"{name}-env"}}, *_list(tree.get("envFrom"))]
    return changed


def _trust_one(manifest: contract.Manifest, name: str, authorities: ports.Authorities) -> contract.Manifest:
    if authorities.pem and manifest.get("kind") == "Secret" and _name(manifest) == name:
        return {**manifest, "data": {**_mapping(manifest.get("data")), AUTHORITIES_KEY: _b64(authorities.pem)}}
    if _template(manifest) is None:
        return manifest
    changed = copy.deepcopy(manifest)
    for container in _containers(_template(changed) or {}):
        tree = cast("Tree", container)
        path = f"{IDENTITY_FOLDER}/{AUTHORITIES_KEY}" if authorities.pem else authorities.system
        _add_variables(tree, dict.fromkeys(authorities.variables, path))
        mounts = cast("list[object]", tree.setdefault("volumeMounts", []))
        if (
            authorities.pem
            and authorities.system
            and all(_mapping(one).get("mountPath") != authorities.system for one in mounts)
        ):
            one_file = {"mountPath": authorities.system, "subPath": AUTHORITIES_KEY}
            mounts.append({"name": IDENTITY_VOLUME, **one_file, "readOnly": True})
    return changed


def _add_variables(container: Tree, variables: Mapping[str, str]) -> None:
    """Before the container's own, which may refer to them, and none that it sets itself."""
    env = cast("list[object]", container.get("env") or [])
    own = {_mapping(item).get("name") for item in env}
    container["env"] = [*({"name": k, "value": v} for k, v in variables.items() if k not in own), *env]


def _templates(manifests: tuple[contract.Manifest, ...]) -> Iterator[contract.Manifest]:
    for manifest in manifests:
        template = _template(manifest)
        if template is not None:
            yield template


def _template(manifest: contract.Manifest) -> contract.Manifest | None:
    """The part of a manifest that has a pod's `spec`, if any."""
    if manifest.get("kind") == "Pod":
        return manifest
    if manifest.get("kind") in _TEMPLATE_KINDS:
        return _mapping(_mapping(manifest.get("spec")).get("template"))
    return None


def _containers(template: contract.Manifest) -> Iterator[contract.Manifest]:
    spec = _mapping(template.get("spec"))
    for key in ("initContainers", "containers"):
        for container in _list(spec.get(key)):
            yield _mapping(container)


def _name(manifest: contract.Manifest) -> str:
    return str(_mapping(manifest.get("metadata")).get("name", ""))


def _mapping(value: object) -> contract.Manifest:
    return cast("contract.Manifest", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
