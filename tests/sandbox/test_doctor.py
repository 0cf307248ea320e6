"""The doctor says what holds here, and names a cure where something does not."""

from pathlib import Path

import pytest

from etabli.kernel import errors
from etabli.sandbox import doctor, ids, internet, limits
from etabli.sandbox.models import Finding, Firmness
from etabli.sandbox.settings import SandboxSettings


def by_subject(settings: SandboxSettings, limiter: limits.Limiter) -> dict[str, Finding]:
    return {finding.subject: finding for finding in doctor.findings(settings, limiter)}


def test_every_wall_and_limit_has_a_finding() -> None:
    found = by_subject(SandboxSettings(), limits.NoCgroups())
    assert set(found) == {"namespaces", "uids", "services", "internet", "memory", "cpu", "processes", "disk"}
    assert found["memory"].firmness is Firmness.BEST_EFFORT
    assert found["memory"].cure


def test_a_missing_tool_is_named_with_the_package_that_has_it() -> None:
    nowhere = Path("/nowhere/tool")
    found = by_subject(SandboxSettings(pasta=nowhere, nft=nowhere), limits.NoCgroups())
    assert found["internet"].firmness is Firmness.NONE
    assert found["internet"].cure == "apt install passt nftables"
    assert found["services"].cure == "apt install nftables"


def test_limits_never_seen_at_work_are_said_to_be_so(tmp_path: Path) -> None:
    assert by_subject(SandboxSettings(), limits.CgroupsV2(tmp_path))["memory"].firmness is Firmness.NOT_VERIFIED


def test_a_ground_keeps_its_number_and_no_other_gets_it(tmp_path: Path) -> None:
    numbers = [ids.ground_index(tmp_path, name) for name in ("a", "b", "a", "c")]
    assert numbers == [1, 2, 1, 3]


def test_a_range_that_is_used_up_is_refused_with_what_to_do() -> None:
    few = ids.SubordinateIds(uid=100, gid=200, count=3)
    assert ids.identities(2, few) == ids.Identities(uid=102, gid=202, shared_gid=200)
    with pytest.raises(errors.Refused, match="no subordinate id") as caught:
        ids.identities(3, few)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nameserver 192.0.2.53\nsearch example.org\n", ("192.0.2.53",)),
        ("nameserver 127.0.0.53\noptions edns0\n", (internet.FORWARDED_DNS,)),
        ("nameserver ::1\nnameserver 192.0.2.53\n", ("192.0.2.53",)),
        ("", (internet.FORWARDED_DNS,)),
    ],
)
def test_names_are_asked_of_the_machines_servers_or_of_pasta_where_it_has_a_stub(
    text: str, named: tuple[str, ...]
) -> None:
    assert tuple(internet.nameservers(text)) == named
