"""The vault, against the real one: whose folder is whose, how tokens end, what the lab keeps."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from etabli.identity.models import Role
from etabli.kernel import errors as kernel_errors
from etabli.kernel.ids import new_id
from etabli.secrets import errors
from etabli.secrets.client import Client
from etabli.secrets.service import Vault
from tests import parts
from tests.secrets.conftest import Server

pytestmark = pytest.mark.binaries


async def test_everybody_has_a_folder_and_nobody_elses(server: Server, vault: Vault, people: parts.People) -> None:
    alice, bob = await people.person(f"alice-{new_id()}"), await people.person(f"bob-{new_id()}")
    mine = await vault.login(subject=alice)
    theirs = await vault.login(subject=bob)
    async with server.http(mine.token) as http:
        assert (await http.post(f"kv/data/{alice.slug}/db", json={"data": {"password": "x"}})).is_success
        assert (await http.get(f"kv/data/{alice.slug}/db")).json()["data"]["data"] == {"password": "x"}
        assert (await http.request("LIST", f"kv/metadata/{alice.slug}")).json()["data"]["keys"] == ["db"]
        assert (await http.request("LIST", f"kv/metadata/{alice.slug}/")).is_success
        patch = {"Content-Type": "application/merge-patch+json"}
        assert (await http.patch(f"kv/data/{alice.slug}/db", json={"data": {"more": "y"}}, headers=patch)).is_success
        assert (await http.delete(f"kv/data/{alice.slug}/db")).is_success
        assert (await http.post(f"kv/undelete/{alice.slug}/db", json={"versions": [2]})).is_success
    async with server.http(theirs.token) as http:
        for method, path in (
            ("GET", f"kv/data/{alice.slug}/db"),
            ("GET", f"kv/metadata/{alice.slug}/db"),
            ("LIST", f"kv/metadata/{alice.slug}"),
            ("LIST", "kv/metadata"),
            ("DELETE", f"kv/metadata/{alice.slug}/db"),
            ("GET", f"kv/data/{bob.slug}/../{alice.slug}/db"),
            ("GET", f"kv/data/{bob.slug}%2f..%2f{alice.slug}/db"),
            ("GET", "lab/data/x"),
            ("LIST", "lab/metadata"),
            ("GET", "sys/mounts"),
            ("LIST", "auth/token/accessors"),
            ("POST", "auth/token/create"),
            ("GET", "identity/entity/id?list=true"),
        ):
            assert (await http.request(method, path)).is_client_error, (method, path)
        assert (await http.post(f"kv/data/{alice.slug}/db", json={"data": {}})).status_code == 403


async def test_a_service_acts_as_its_project_never_as_who_is_in_it(
    server: Server, vault: Vault, people: parts.People
) -> None:
    alice = await people.person(f"alice-{new_id()}")
    shared = await people.shared(f"shared-{new_id()}", {alice.id: Role.OWNER})
    token = await vault.login(subject=shared)
    async with server.http(token.token) as http:
        assert (await http.post(f"kv/data/{shared.slug}/k", json={"data": {}})).is_success
        assert (await http.post(f"kv/data/{alice.slug}/k", json={"data": {}})).status_code == 403
        me = (await http.get("auth/token/lookup-self")).json()["data"]
    assert me["period"] == 24 * 3600
    assert me["policies"] == ["own-folder"]


async def test_a_token_is_renewed_and_ended_by_accessor_alone(
    server: Server, vault: Vault, people: parts.People
) -> None:
    token = await vault.login(subject=await people.person(f"alice-{new_id()}"))
    assert token.token not in repr(token)
    assert await vault.renew(accessor=token.accessor)
    await vault.revoke(accessor=token.accessor)
    async with server.http(token.token) as http:
        assert (await http.get("auth/token/lookup-self")).status_code == 403
    assert not await vault.renew(accessor=token.accessor)
    await vault.revoke(accessor=token.accessor)
    assert not await vault.renew(accessor="no-such-accessor")


async def test_a_lab_token_that_is_not_good_is_not_taken_for_a_token_that_ended(
    server: Server, people: parts.People
) -> None:
    client = Client(socket=server.layout.socket("vault"))
    broken = Vault(client=client, issuer=people.issuer, lab=parts.LAB, lab_token=lambda: "nonsense")
    with pytest.raises(errors.VaultRefused):
        await broken.renew(accessor="whatever")
    await client.close()


async def test_the_lab_keeps_and_forgets_what_services_were_rendered_with(vault: Vault) -> None:
    key = f"services/{new_id()}/1"
    with pytest.raises(kernel_errors.NotFound):
        await vault.fetch(key=key)
    await vault.keep(key=key, data={"secret/password": "aGk="})
    await vault.keep(key=key, data={"secret/password": "dHdv"})
    assert await vault.fetch(key=key) == {"secret/password": "dHdv"}
    await vault.forget(key=key)
    await vault.forget(key=key)
    with pytest.raises(kernel_errors.NotFound):
        await vault.fetch(key=key)
    await vault.tend()
    for escaping in ("../x", "a//b", "a/../b", "", "A"):
        with pytest.raises(ValueError, match="key"):
            await vault.fetch(key=escaping)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "s3", "preferred_username": "alice"},
        {"aud": "api", "preferred_username": "alice"},
        {"aud": "vault", "preferred_username": "*"},
        {"aud": "vault", "preferred_username": "+"},
        {"aud": "vault", "preferred_username": ""},
        {"aud": "vault"},
        {"aud": "vault", "preferred_username": "alice", "iss": "http://elsewhere.localhost"},
    ],
    ids=["of s3", "of the portal", "star", "plus", "empty", "no name", "another issuer"],
)
async def test_a_token_that_is_not_quite_right_reads_nothing(
    server: Server, vault: Vault, people: parts.People, claims: dict[str, str]
) -> None:
    owner = await people.person(f"owner-{new_id()}")
    async with server.http((await vault.login(subject=owner)).token) as http:
        assert (await http.post(f"kv/data/{owner.slug}/k", json={"data": {"a": "b"}})).is_success
    audience = claims["aud"]
    rest = {"sub": new_id(), **{name: value for name, value in claims.items() if name != "aud"}}
    token = people.issuer.sign(rest, audience=audience, lifetime=timedelta(minutes=1))
    client = Client(socket=server.layout.socket("vault"))
    try:
        answer = await client.call("POST", "auth/jwt/login", body={"role": "lab", "jwt": token})
    except errors.VaultRefused:
        return
    finally:
        await client.close()
    async with server.http(answer["auth"]["client_token"]) as http:
        for path in (f"kv/data/{owner.slug}/k", "kv/data//k", "kv/metadata/?list=true", "kv/metadata?list=true"):
            assert (await http.get(path)).is_client_error, path
        assert (await http.post("kv/data//k", json={"data": {}})).is_client_error


async def test_an_archived_project_gets_no_token(vault: Vault, people: parts.People) -> None:
    shared = await people.shared(f"shared-{new_id()}", {})
    await people.archive(shared)
    with pytest.raises(kernel_errors.Forbidden):
        await vault.login(subject=shared)


async def test_a_vault_that_is_not_there_is_said_so(people: parts.People, tmp_path: Path) -> None:
    client = Client(socket=tmp_path / "vault.sock")
    vault = Vault(client=client, issuer=people.issuer, lab=parts.LAB, lab_token=lambda: "t")
    with pytest.raises(errors.VaultUnavailable, match="does not answer"):
        await vault.fetch(key="services/a/1")
    with pytest.raises(errors.VaultUnavailable):
        await vault.login(subject=await people.person(f"alice-{new_id()}"))
    await client.close()


async def test_keys_that_changed_are_met_without_a_restart(server: Server, vault: Vault, people: parts.People) -> None:
    user = await people.person(f"alice-{new_id()}")
    await vault.login(subject=user)
    client = Client(socket=server.layout.socket("vault"))
    await people.rotate()
    after = Vault(client=client, issuer=people.issuer, lab=parts.LAB, lab_token=lambda: "unused")
    with pytest.raises(errors.VaultUnavailable, match="does not accept"):
        await after.login(subject=user)
    (server.folder / "jwks").write_bytes((server.layout.keys / "jwks.json").read_bytes())
    await after.login(subject=user)
    await client.close()


async def test_variables_name_the_projects_folder(vault: Vault, people: parts.People) -> None:
    project = await people.own(await people.person(f"alice-{new_id()}"))
    assert vault.variables(project=project) == {
        "VAULT_ADDR": "http://vault.etabli.localhost:8000",
        "VAULT_MOUNT": "kv",
        "VAULT_TOP_DIR": project.slug,
    }


async def test_a_folder_goes_with_all_below_it_and_going_twice_is_well(
    server: Server, vault: Vault, people: parts.People
) -> None:
    project = await people.own(await people.person(f"goes-{new_id()}"))
    token = (await vault.login(subject=project)).token
    async with server.http(token) as http:
        for path in ("db", "deep/er/key", "deep/other", "with space"):
            assert (await http.post(f"kv/data/{project.slug}/{path}", json={"data": {"a": "1"}})).is_success
        await vault.erase(project=project)
        assert (await http.request("LIST", f"kv/metadata/{project.slug}")).status_code == 404
        assert (await http.get(f"kv/data/{project.slug}/deep/er/key")).status_code == 404
    await vault.erase(project=project)
