"""What services add to a chart's manifests, as pure functions."""

import base64
from typing import cast

from etabli.engines import contract
from etabli.services import manifests, ports

SYSTEM = "/etc/ssl/certs/ca-certificates.crt"
AUTHORITIES = ports.Authorities(pem="-----BEGIN…", variables=("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), system=SYSTEM)


def _identified(container: dict[str, object]) -> tuple[contract.Manifest, ...]:
    pod: contract.Manifest = {"kind": "Pod", "metadata": {"name": "one"}, "spec": {"containers": [container]}}
    return manifests.identify((pod,), service_id="s", token="t", variables={}, secret_variables={})


def _trusting(container: dict[str, object]) -> tuple[contract.Manifest, contract.Manifest]:
    """The container and the Secret of its identity."""
    pod, secret, _ = manifests.trust(_identified(container), service_id="s", authorities=AUTHORITIES)
    spec = cast("dict[str, list[contract.Manifest]]", pod["spec"])
    return spec["containers"][0], secret


def test_authorities_lie_beside_the_token_and_in_the_place_of_the_systems() -> None:
    container, secret = _trusting({"name": "main"})
    data = cast("dict[str, str]", secret["data"])
    assert base64.b64decode(data["authorities.pem"]).decode() == AUTHORITIES.pem
    assert base64.b64decode(data["token"]) == b"t"
    assert {"name": "SSL_CERT_FILE", "value": "/run/etabli/authorities.pem"} in cast("list[object]", container["env"])
    mounts = cast("list[dict[str, object]]", container["volumeMounts"])
    assert [(one["mountPath"], one.get("subPath")) for one in mounts] == [
        ("/run/etabli", None),
        (SYSTEM, "authorities.pem"),
    ]


def test_what_a_chart_says_of_authorities_wins() -> None:
    own = {"name": "mine", "mountPath": SYSTEM}
    container, _ = _trusting(
        {"name": "main", "env": [{"name": "SSL_CERT_FILE", "value": "/own"}], "volumeMounts": [own]}
    )
    named = [cast("dict[str, str]", one) for one in cast("list[object]", container["env"])]
    assert [one["value"] for one in named if one["name"] == "SSL_CERT_FILE"] == ["/own"]
    mounts = cast("list[dict[str, object]]", container["volumeMounts"])
    assert [one for one in mounts if one["mountPath"] == SYSTEM] == [own]


def test_nothing_changes_where_every_tools_own_list_is_enough() -> None:
    given = _identified({"name": "main"})
    assert manifests.trust(given, service_id="s", authorities=ports.Authorities()) == given


def test_a_list_that_is_seen_inside_is_named_and_not_copied() -> None:
    seen = ports.Authorities(variables=("SSL_CERT_FILE",), system=SYSTEM)
    pod, secret, _ = manifests.trust(_identified({"name": "main"}), service_id="s", authorities=seen)
    container = cast("dict[str, list[contract.Manifest]]", pod["spec"])["containers"][0]
    assert cast("list[object]", container["env"])[0] == {"name": "SSL_CERT_FILE", "value": SYSTEM}
    assert len(cast("list[object]", container["volumeMounts"])) == 1
    assert list(cast("dict[str, str]", secret["data"])) == ["token"]
