"""What `{{…}}` of a chart may refer to: Onyxia's XOnyxiaContext (web 5.5, core/ports/OnyxiaApi/XOnyxia.ts), name by name.

Charts never receive a person's tokens: `user.accessToken` and `user.refreshToken` are there, because charts name them, and always
empty. What is not known is left out of the tree, so that an expression that names it is undefined and the chart's own default holds.
"""

import dataclasses
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from etabli.engines import contract

Tree = Mapping[str, object]
PASSWORD_BYTES = 16
CPU_STEP = 50  # Thousandths of a core.
HALF_GIB = 2**29


@dataclass(frozen=True)
class User:
    """`user`: who launches."""

    idep: str | None = None  # The slug.
    name: str | None = None
    email: str | None = None
    password: str | None = None
    ip: str | None = None
    dark_mode: bool | None = None
    lang: str | None = None  # `en`, `fr`…
    decoded_id_token: Tree | None = None  # Claims; never the token itself.
    profile: Tree | None = None
    access_token: str = field(default="", init=False)
    refresh_token: str = field(default="", init=False)


@dataclass(frozen=True)
class Service:
    """`service`: what is fresh for each launch."""

    one_time_password: str = field(default_factory=lambda: secrets.token_urlsafe(PASSWORD_BYTES))


@dataclass(frozen=True)
class Project:
    """`project`: on whose ground."""

    id: str | None = None
    password: str | None = None
    basic: str | None = None  # base64 of `id:password`; see `with_basic`.


@dataclass(frozen=True)
class Git:
    """`git`: how commits are signed, and the token of an outside forge where the person gave one."""

    name: str | None = None
    email: str | None = None
    credentials_cache_duration: int | None = field(default=None, metadata={"key": "credentials_cache_duration"})
    token: str | None = None


@dataclass(frozen=True)
class Vault:
    """`vault`: where it is. No token: services get theirs from the lab."""

    address: str | None = field(default=None, metadata={"key": "VAULT_ADDR"})
    mount: str | None = field(default=None, metadata={"key": "VAULT_MOUNT"})
    top_dir: str | None = field(default=None, metadata={"key": "VAULT_TOP_DIR"})


@dataclass(frozen=True)
class S3:
    """`s3`, and each member of `s3_array`: where it is. No keys: services ask the lab for short-lived ones."""

    profile_name: str | None = "default"
    region: str | None = field(default=None, metadata={"key": "AWS_DEFAULT_REGION"})
    endpoint: str | None = field(default=None, metadata={"key": "AWS_S3_ENDPOINT"})
    bucket: str | None = field(default=None, metadata={"key": "AWS_BUCKET_NAME"})
    port: int | None = None
    path_style_access: bool | None = True
    is_anonymous: bool | None = False


@dataclass(frozen=True)
class Region:
    """`region`: what the administrator says of the place."""

    default_ip_protection: bool | None = None
    default_network_policy: bool | None = None
    allowed_uri_pattern: str | None = field(default=None, metadata={"key": "allowedURIPattern"})
    custom_values: Tree | None = None
    kafka: Tree | None = None
    tolerations: tuple[Tree, ...] | None = None
    from_: tuple[Tree, ...] | None = field(default=None, metadata={"key": "from"})
    node_selector: Tree | None = None
    startup_probe: Tree | None = None
    sliders: Tree | None = None  # By name: sliderMin, sliderMax, sliderStep, sliderUnit.
    resources: Tree | None = None  # cpuRequest, cpuLimit, memoryRequest, memoryLimit, disk, gpu.
    openshift_scc: Tree | None = field(default=None, metadata={"key": "openshiftSCC"})


@dataclass(frozen=True)
class K8s:
    """`k8s`: how services are reached."""

    domain: str | None = None  # Hosts of services are one label below.
    random_subdomain: str | None = None  # The service's id.
    ingress_class_name: str | None = None
    ingress: bool | None = True
    route: bool | None = False
    istio: Tree | None = field(default_factory=lambda: {"enabled": False, "gateways": []})
    init_script_url: str | None = None
    use_cert_manager: bool | None = False
    cert_manager_cluster_issuer: str | None = None


@dataclass(frozen=True)
class Context:
    """All of it."""

    user: User = User()
    service: Service = field(default_factory=Service)
    project: Project = Project()
    git: Git = Git()
    vault: Vault | None = None
    s3: S3 | None = None
    s3_array: tuple[S3, ...] = field(default=(), metadata={"key": "s3_array"})
    region: Region = Region()
    k8s: K8s = K8s()
    proxy_injection: Tree | None = None
    package_repository_injection: Tree | None = None
    certificate_authority_injection: Tree | None = None

    def tree(self) -> Tree:
        """As expressions see it: charts' own names, what is not known left out."""
        return _tree(self)


def region_of(total: contract.Resources, *, disk_gib: int = 100) -> Region:
    """What a form offers on an engine of this size: limits up to the whole, requests small, sliders bounded by it."""
    cores = max(total.cpu, CPU_STEP / 1000)
    millicores = int(cores * 1000) // CPU_STEP * CPU_STEP
    gibibytes = max(total.memory_bytes // HALF_GIB, 1) / 2
    return Region(
        sliders={
            "cpu": _slider(CPU_STEP, millicores, CPU_STEP, "m"),
            "memory": _slider(0.5, gibibytes, 0.5, "Gi"),
            "disk": _slider(1, max(disk_gib, 1), 1, "Gi"),
        },
        resources={
            "cpuRequest": f"{min(100, millicores)}m",
            "cpuLimit": f"{millicores}m",
            "memoryRequest": "0.5Gi",
            "memoryLimit": f"{gibibytes:g}Gi",
            "disk": f"{min(10, max(disk_gib, 1))}Gi",
        },
    )


def _slider(least: float, most: float, step: float, unit: str) -> Tree:
    return {"sliderMin": least, "sliderMax": most, "sliderStep": step, "sliderUnit": unit}


def with_basic(project: Project) -> Project:
    """The project with `basic` told from its id and password, where both are known."""
    if project.id is None or project.password is None:
        return project
    basic = b64encode(f"{project.id}:{project.password}".encode()).decode()
    return dataclasses.replace(project, basic=basic)


def _tree(value: object) -> dict[str, object]:
    members: dict[str, object] = {}
    for item in dataclasses.fields(value):  # type: ignore[arg-type] # Called with our dataclasses alone.
        content = getattr(value, item.name)
        if content is not None:
            members[str(item.metadata.get("key", _camel(item.name)))] = _plain(content)
    return members


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value):
        return _tree(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
