"""Coming in by an outside provider, with every answer that a hostile or a broken one may give."""

import html
import json
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from etabli.identity import people
from etabli.identity.outside import client_secrets
from etabli.identity.outside.calls import Calls
from etabli.identity.outside.directory import REFETCH, Directory
from etabli.identity.outside.settings import ProviderSettings
from etabli.identity.settings import IdentitySettings
from etabli.kernel import errors
from etabli.kernel.clock import ManualClock
from etabli.kernel.settings import section
from etabli.web import visitors
from tests import outside_provider
from tests.outside_provider import CLIENT, SECRET, Provider
from tests.web import parts
from tests.web.lab import Lab, csrf, opened
from tests.web.test_entrance import cookie_of, signed_in
from tests.web.test_pages import check

LEAVING = re.compile(r'content="0; url=([^"]+)"')
GIVEN = re.compile(r'name="(name|slug)" type="text" value="([^"]*)"')
ANYONE: Mapping[str, object] = {"enter": {"anyone": True}, "trust_email": True}


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with outside_provider.running() as running:
        yield running


def provider_settings(
    folder: Path, name: str, provider: Provider, how: Mapping[str, object] | None = None
) -> ProviderSettings:
    """A provider as an administrator writes it down."""
    secret = folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    known = {"issuer": provider.issuer, "client_id": CLIENT, "client_secret_file": secret}
    return ProviderSettings.model_validate({"id": name, "name": name.title(), **known, **(how or {})})


@asynccontextmanager
async def lab_with(
    folder: Path,
    *providers: Provider,
    how: Mapping[str, object] | None = None,
    people: Mapping[str, object] | None = None,
    administrator: bool = True,
) -> AsyncIterator[Lab]:
    """A lab that knows these providers (`one`, `two`…), each as `how` says, and has an administrator."""
    settings = [provider_settings(folder, name, one, how) for name, one in zip(("one", "two"), providers, strict=False)]
    chosen = parts.CHEAP.model_copy(update={"providers": settings, **(people or {})})
    async with opened(folder / "lab", people=chosen) as lab:
        if administrator:
            await lab.admin()
        yield lab


async def left(client: httpx.AsyncClient, name: str = "one", onward: str = "/") -> str:
    """Where the browser is sent by a click on the provider."""
    answer = await client.get(f"/sign-in/with/{name}", params={"next": onward})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def joined(client: httpx.AsyncClient, back: httpx.Response, **fields: str) -> httpx.Response:
    """Make the account that a newcomer is offered."""
    assert back.status_code == 303, back.text
    page = await client.get(back.headers["location"])
    assert page.status_code == 200, page.text
    attempt = back.headers["location"].partition("attempt=")[2]
    form = {"csrf": csrf(page.text), "attempt": attempt, "name": "Grace Hopper", "slug": "grace", **fields}
    return await client.post(back.headers["location"].partition("?")[0], data=form)


async def test_a_newcomer_makes_an_account_and_comes_back_to_it(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab:
        async with lab.browser() as client:
            back = await client.get(provider.answer(await left(client, onward="/services")))
            page = await client.get(back.headers["location"])
            answer = await joined(client, back)
        async with lab.browser() as client:
            again = await client.get(provider.answer(await left(client)))
        grace = await lab.rooms.identity.people.named(slug="grace")
    check(page.text)
    assert 'value="grace"' in page.text
    assert "grace@institut.example" in page.text
    assert (answer.status_code, answer.headers["location"]) == (303, "/services")
    assert "HttpOnly" in cookie_of(answer, visitors.SESSION_COOKIE)
    assert (again.status_code, again.headers["location"]) == (303, "/")
    assert cookie_of(again, visitors.SESSION_COOKIE)
    assert (grace.name, grace.email, grace.is_admin) == ("Grace Hopper", "grace@institut.example", False)


@pytest.mark.parametrize("code", ["en", "fr"])
async def test_somebody_signed_in_links_a_provider_and_takes_it_away(
    tmp_path: Path, provider: Provider, code: str
) -> None:
    async with lab_with(tmp_path, provider) as lab:
        ada = await lab.rooms.identity.people.first_admin()
        await lab.rooms.identity.people.change_profile(
            user_id=ada.id, profile=people.Profile(name=ada.name, email=ada.email, language=code)
        )
        async with lab.browser(await lab.token(ada)) as client:
            security = await client.get("/account/security")
            form = {"csrf": csrf(security.text)}
            leaving = await client.post("/account/providers/one", data=form)
            back = await client.get(provider.answer(html.unescape(LEAVING.findall(leaving.text)[0])))
            asked = await client.get(back.headers["location"])
            attempt = back.headers["location"].partition("attempt=")[2]
            done = await client.post("/account/providers/one/link", data={**form, "attempt": attempt})
            linked = await client.get(done.headers["location"])
            (identity,) = await lab.rooms.identity.outside.list(user_id=ada.id)
            async with lab.browser() as other:
                entered = await other.get(provider.answer(await left(other)))
            (listed,) = (await client.get("/api/v1/me/identities")).json()
            gone = await client.post(f"/account/identities/{identity.id}/end", data=form)
            again = await client.get(gone.headers["location"])
        async with lab.browser() as other:
            refused = await other.get(provider.answer(await left(other)))
    for page in (leaving, asked, linked, again):
        check(page.text)
        assert f'<html lang="{code}"' in page.text
    assert "grace" in asked.text
    assert identity.login == "grace"
    assert (listed["id"], listed["provider"], listed["provider_name"]) == (identity.id, "one", "One")
    assert cookie_of(entered, visitors.SESSION_COOKIE)
    assert identity.id in linked.text
    assert identity.id not in again.text
    assert refused.status_code == 403


# Answers that are not believed: what the person sees is the sign-in page, and nobody is signed in.


def ago(**over: int) -> dict[str, object]:
    """Times of a token, in seconds from now."""
    return {name: int(time.time()) + seconds for name, seconds in over.items()}


HOSTILE: Mapping[str, Callable[[Provider], object]] = {
    "alg none": lambda one: setattr(one, "forge", outside_provider.unsigned),
    "HS256 by the public key": lambda one: setattr(one, "forge", outside_provider.by_public_key(one)),
    "an algorithm that it does not announce": lambda one: one.header.update(alg="RS512"),
    "a key of another": lambda one: setattr(one, "forge", outside_provider.by_another_key(one)),
    "a token that is none": lambda one: setattr(one, "forge", lambda _claims: "not.a.token"),
    "a critical header that nobody knows": lambda one: one.header.update(crit=["b64x"], b64x=True),
    "another audience": lambda one: one.extra.update(aud="another application"),
    "ours among others, for another party": lambda one: one.extra.update(aud=[CLIENT, "x"], azp="x"),
    "ours among others, for no party": lambda one: one.extra.update(aud=[CLIENT, "x"]),
    "another party": lambda one: one.extra.update(azp="another application"),
    "another issuer": lambda one: one.extra.update(iss="https://evil.example"),
    "another nonce": lambda one: one.extra.update(nonce="of another sign-in"),
    "no nonce": lambda one: one.extra.update(nonce=None),
    "expired": lambda one: one.extra.update(ago(exp=-120, iat=-400)),
    "never expires": lambda one: one.extra.update(exp=None),
    "a time that is none": lambda one: one.extra.update(exp="tomorrow"),
    "a clock far ahead": lambda one: one.extra.update(ago(iat=300, exp=900)),
    "not good yet": lambda one: one.extra.update(ago(nbf=300)),
    "made long ago, good for long": lambda one: one.extra.update(ago(iat=-7200, exp=7200)),
    "no subject": lambda one: one.claims.update(sub=None),
    "a subject that is a number": lambda one: one.claims.update(sub=7),
    "a subject of 5,000 characters": lambda one: one.claims.update(sub="x" * 5000),
    "claims of 100 KB": lambda one: one.claims.update(name="x" * 100_000),
    "a key set of another kind": lambda one: one.discovery.update(
        jwks_uri=one.issuer + "/.well-known/openid-configuration"
    ),
    "userinfo of somebody else": lambda one: one.__dict__.update(
        in_token=("sub",), userinfo=lambda claims: JSONResponse({**claims, "sub": "another"})
    ),
    "userinfo that is signed by another": lambda one: one.__dict__.update(
        in_token=("sub",),
        userinfo=lambda claims: Response(outside_provider.by_another_key(one)(claims), media_type="application/jwt"),
    ),
    "a document of another issuer": lambda one: one.discovery.update(issuer="https://evil.example"),
    "endpoints over plain HTTP": lambda one: one.discovery.update(token_endpoint="http://evil.example/token"),
}


@pytest.mark.parametrize("fault", HOSTILE)
async def test_an_answer_that_is_not_to_be_believed_signs_nobody_in(
    tmp_path: Path, provider: Provider, fault: str
) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as client:
        HOSTILE[fault](provider)
        answer = await client.get("/sign-in/with/one")
        if answer.status_code == 303:
            answer = await client.get(provider.answer(answer.headers["location"]))
        assert answer.status_code == 400, answer.headers
        assert visitors.SESSION_COOKIE + "=" not in str(answer.headers.get_list("set-cookie"))
        assert "answered something that this lab does not accept" in answer.text
        assert 'action="/sign-in"' in answer.text
        people = await lab.rooms.identity.people.list(by=await lab.rooms.identity.people.first_admin())
    assert len(people) == 1
    check(answer.text)


async def test_clocks_may_differ_by_a_little(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab:
        for times in (ago(iat=50, exp=350), ago(iat=-350, exp=-50)):
            provider.extra = times
            async with lab.browser() as client:
                assert (await client.get(provider.answer(await left(client)))).status_code == 303


async def test_an_answer_is_good_once_and_in_its_own_browser(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as hers, lab.browser() as his:
        await his.get("/sign-in")
        address = provider.answer(await left(hers))
        stolen = await his.get(address)
        back = await hers.get(address)
        replayed = await hers.get(address)
        page_of_hers = await his.get(back.headers["location"])
        other_state = await hers.get(provider.answer(await left(hers), state="made up"))
        none = await hers.get("/sign-in/with/one/back")
        twice = await hers.get(f"{provider.answer(await left(hers))}&state=x")
    assert back.status_code == 303
    for answer in (stolen, replayed, page_of_hers, other_state, none):
        assert answer.status_code == 400
        assert "not finished in time, or not in this browser" in answer.text
    assert twice.status_code == 400


async def test_an_answer_that_comes_too_late_is_worth_nothing(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as client:
        address = provider.answer(await left(client))
        database = sqlite3.connect(tmp_path / "lab/data/etabli.db")
        with database:
            database.execute("update outside_attempts set expires_at = datetime('now', '-1 minute')")
        database.close()
        late = await client.get(address)
        await lab.rooms.identity.outside.sweep()
    assert late.status_code == 400
    assert provider.asked == []


async def test_the_answer_of_another_provider_is_not_brought_to_this_one(tmp_path: Path, provider: Provider) -> None:
    async with (
        outside_provider.running() as evil,
        lab_with(tmp_path, provider, evil, how=ANYONE) as lab,
        lab.browser() as client,
    ):
        mixed = await client.get(provider.answer(await left(client), iss=evil.issuer))
        unnamed = await client.get(provider.answer(await left(client), iss=None))
        elsewhere = provider.answer(await left(client)).replace("/with/one/", "/with/two/")
        crossed = await client.get(elsewhere)
    assert (mixed.status_code, unnamed.status_code, crossed.status_code) == (400, 400, 400)
    assert provider.asked == evil.asked == []


async def test_a_code_of_another_sign_in_is_refused_by_its_verifier(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as hers, lab.browser() as his:
        code = re.search("code=([^&]+)", provider.answer(await left(his)))
        assert code is not None
        injected = await hers.get(provider.answer(await left(hers), code=code[1]))
    assert injected.status_code == 400
    assert len(provider.asked) == 1


async def test_a_key_that_is_rotated_is_found_and_forged_ones_do_not_make_us_ask(
    tmp_path: Path, provider: Provider
) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as client:
        assert (await client.get(provider.answer(await left(client)))).status_code == 303
        asked = provider.jwks_asked
        provider.forge = outside_provider.by_another_key(provider)
        for _ in range(5):
            assert (await client.get(provider.answer(await left(client)))).status_code == 400
        assert provider.jwks_asked == asked  # The set is a few seconds old: asking again would tell nothing yet.


async def test_the_next_key_of_a_provider_is_fetched_once_the_old_set_has_some_age(
    tmp_path: Path, provider: Provider
) -> None:
    settings, clock = provider_settings(tmp_path, "one", provider), ManualClock()
    calls = Calls(name="One", authorities=None)
    directory = Directory(settings=settings, calls=calls, clock=clock)
    first = await directory.keys()
    provider.rotate()
    assert await directory.keys(missing=True) == first
    await clock.advance(REFETCH)
    (second,) = await directory.keys(missing=True)
    await calls.close()
    assert second.kid == provider.key.kid != first[0].kid


async def test_a_provider_that_is_down_takes_nothing_else_with_it(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as client:
        address = provider.answer(await left(client))
        provider.down = True
        unwell = await client.get(address)
        await provider.stop()
        gone = await client.get("/sign-in/with/one")
        home = await client.get("/sign-in")
        entered = await signed_in(client, login="ada-lovelace")
    assert unwell.status_code == 503
    for page in (unwell, home):
        assert 'name="password"' in page.text
    assert "does not answer" in unwell.text
    assert gone.status_code in (303, 503)  # Its endpoints may still be known.
    assert entered.status_code == 303


async def test_a_provider_that_was_never_reached_is_a_sentence(tmp_path: Path, provider: Provider) -> None:
    await provider.stop()
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as client:
        first, second = [await client.get("/sign-in/with/one") for _ in range(2)]
    assert first.status_code == second.status_code == 503
    assert "<code>One</code> does not answer" in first.text
    assert 'name="password"' in first.text


@pytest.mark.parametrize(("error", "status"), [("access_denied", 400), ("server_error", 503), ("invalid_scope", 400)])
async def test_a_refusal_over_there_is_a_sentence_here(
    tmp_path: Path, provider: Provider, error: str, status: int
) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as client:
        answer = await client.get(provider.answer(await left(client), code=None, error=error, error_description="<b>"))
    assert answer.status_code == status
    assert "<b>" not in answer.text.replace("<b>Etabli", "")
    assert provider.asked == []


# Who may enter.


@pytest.mark.parametrize(
    ("enter", "claims", "enters"),
    [
        ({}, {}, False),
        ({"anyone": True}, {}, True),
        ({"anyone": True, "makes_accounts": False}, {}, False),
        ({"email_domains": ["institut.example"]}, {}, True),
        ({"email_domains": ["Institut.Example"]}, {"email": "GRACE@INSTITUT.example"}, True),
        ({"email_domains": ["institut.example"]}, {"email_verified": False}, False),
        ({"email_domains": ["institut.example"]}, {"email_verified": None}, False),
        ({"email_domains": ["institut.example"]}, {"email": "grace@sub.institut.example"}, False),
        ({"email_domains": ["institut.example"]}, {"email": "grace@evil.example@institut.example"}, False),
        ({"email_domains": ["institut.example"]}, {"email": "grace@\u0131nstitut.example"}, False),
        ({"groups": ["lab"]}, {"groups": ["x", "lab"]}, True),
        ({"groups": ["lab"]}, {"groups": "lab"}, True),
        ({"groups": ["lab"]}, {"groups": ["LAB", {"lab": 1}, None]}, False),
        ({"claims": {"hd": ["institut.example"]}}, {"hd": "institut.example"}, True),
        ({"claims": {"realm_access.roles": ["statistician"]}}, {"realm_access": {"roles": ["statistician"]}}, True),
        ({"claims": {"hd": ["institut.example"]}}, {}, False),
    ],
)
async def test_who_enters_is_as_the_settings_say(
    tmp_path: Path, provider: Provider, enter: Mapping[str, object], claims: dict[str, object], enters: bool
) -> None:
    provider.claims |= claims
    provider.in_token = tuple(provider.claims)
    async with lab_with(tmp_path, provider, how={"enter": enter}) as lab, lab.browser() as client:
        answer = await client.get(provider.answer(await left(client)))
    assert answer.status_code == (303 if enters else 403)
    if not enters:
        assert "this lab does not let you in by that alone" in answer.text


async def test_who_no_longer_meets_the_rule_is_kept_out_though_known(tmp_path: Path, provider: Provider) -> None:
    provider.claims["groups"] = ["lab"]
    provider.in_token = tuple(provider.claims)
    async with lab_with(tmp_path, provider, how={"enter": {"groups": ["lab"]}}) as lab, lab.browser() as client:
        await joined(client, await client.get(provider.answer(await left(client))))
        provider.claims["groups"] = []
        async with lab.browser() as later:
            assert (await later.get(provider.answer(await left(later)))).status_code == 403


async def test_nobody_comes_in_before_the_first_administrator(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE, administrator=False) as lab, lab.browser() as client:
        answer = await client.get(provider.answer(await left(client)))
        assert await lab.rooms.identity.invitations.first_link() is not None
    assert answer.status_code == 400
    assert "no administrator yet" in answer.text


# Whose account it is.


async def test_an_email_that_was_only_typed_neither_gives_nor_takes_an_account(
    tmp_path: Path, provider: Provider
) -> None:
    provider.claims["email"] = "ada@example.org"  # Which the administrator typed, and nobody verified.
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as client:
        back = await client.get(provider.answer(await left(client)))
        page = await client.get(back.headers["location"])
        await joined(client, back)
        grace = await lab.rooms.identity.people.named(slug="grace")
        ada = await lab.rooms.identity.people.first_admin()
    assert "An account of this lab gives your e-mail already" in page.text
    assert grace.id != ada.id
    assert (grace.email, grace.is_admin, ada.email) == (None, False, "ada@example.org")


async def test_an_email_that_both_sides_verified_is_one_person(tmp_path: Path, provider: Provider) -> None:
    async with outside_provider.running() as second, lab_with(tmp_path, provider, second, how=ANYONE) as lab:
        async with lab.browser() as client:
            await joined(client, await client.get(provider.answer(await left(client))))
        second.claims |= {"sub": "somebody", "preferred_username": "admin"}
        async with lab.browser() as client:
            back = await client.get(second.answer(await left(client, "two")))
            account = await client.get("/account")
        grace = await lab.rooms.identity.people.named(slug="grace")
        linked = await lab.rooms.identity.outside.list(user_id=grace.id)
    assert back.headers["location"] == "/"
    assert "grace" in account.text
    assert [one.provider_id for one in linked] == ["one", "two"]


@pytest.mark.parametrize(
    "hostile",
    [
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "yes"},
        {"email": "grace@institut.example\n"},
        {"email": "GRACE@\u212ainstitut.example"},
        {"email": ["grace@institut.example"]},
        {"email": "grace@institut.example,evil@x.example"},
    ],
)
async def test_another_persons_email_gets_nothing(
    tmp_path: Path, provider: Provider, hostile: dict[str, object]
) -> None:
    async with outside_provider.running() as evil, lab_with(tmp_path, provider, evil, how=ANYONE) as lab:
        async with lab.browser() as client:
            await joined(client, await client.get(provider.answer(await left(client))))
        evil.claims |= {"sub": "mallory", "email": "grace@institut.example", **hostile}
        async with lab.browser() as client:
            back = await client.get(evil.answer(await left(client, "two")))
            answer = await joined(client, back, slug="mallory")
        mallory = await lab.rooms.identity.people.named(slug="mallory")
    assert back.headers["location"].startswith("/sign-in/with/two/new")
    assert answer.status_code == 303
    assert mallory.email is None


async def test_a_provider_that_is_not_trusted_for_emails_links_nobody(tmp_path: Path, provider: Provider) -> None:
    untrusting = {"enter": {"anyone": True}}
    async with outside_provider.running() as other, AsyncExitStack() as stack:
        lab = await stack.enter_async_context(lab_with(tmp_path, provider, other, how=ANYONE))
        client = await stack.enter_async_context(lab.browser())
        await joined(client, await client.get(provider.answer(await left(client))))
        # The same lab, whose administrator trusts neither any more.
        later = await stack.enter_async_context(
            lab_with(tmp_path, provider, other, how=untrusting, administrator=False)
        )
        client = await stack.enter_async_context(later.browser())
        back = await client.get(other.answer(await left(client, "two")))
        page = await client.get(back.headers["location"])
    assert "gives your e-mail already" not in page.text
    assert "grace@institut.example" not in page.text


async def test_a_changed_email_has_to_be_verified_again(tmp_path: Path, provider: Provider) -> None:
    async with outside_provider.running() as second, lab_with(tmp_path, provider, second, how=ANYONE) as lab:
        async with lab.browser() as client:
            await joined(client, await client.get(provider.answer(await left(client))))
        grace = await lab.rooms.identity.people.named(slug="grace")
        typed = people.Profile(name="Grace", email="victim@institut.example", language="en")
        await lab.rooms.identity.people.change_profile(user_id=grace.id, profile=typed)
        second.claims |= {"sub": "victim", "email": "victim@institut.example"}
        async with lab.browser() as client:
            back = await client.get(second.answer(await left(client, "two")))
    assert back.headers["location"].startswith("/sign-in/with/two/new")


async def test_who_is_renamed_over_there_stays_who_they_are_here(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab:
        async with lab.browser() as client:
            await joined(client, await client.get(provider.answer(await left(client))))
        provider.claims |= {
            "preferred_username": "grace.murray",
            "name": "Grace Murray",
            "email": "gm@institut.example",
        }
        async with lab.browser() as client:
            await client.get(provider.answer(await left(client)))
            me = (await client.get("/api/v1/me", headers={"Accept": "application/json"})).json()
    assert (me["slug"], me["name"], me["email"]) == ("grace", "Grace Hopper", "grace@institut.example")


async def test_subjects_that_differ_in_case_alone_are_two_people(tmp_path: Path, provider: Provider) -> None:
    provider.claims |= {"sub": "abc", "email_verified": False}
    async with lab_with(tmp_path, provider, how=ANYONE) as lab:
        async with lab.browser() as client:
            await joined(client, await client.get(provider.answer(await left(client))))
        provider.claims |= {"sub": "ABC", "preferred_username": "GRACE"}
        async with lab.browser() as client:
            back = await client.get(provider.answer(await left(client)))
            page = await client.get(back.headers["location"])
    assert 'value="grace-2"' in page.text


@pytest.mark.parametrize(
    ("claims", "name", "slug"),
    [
        ({"preferred_username": "غريس", "name": "غريس هوبر"}, "غريس هوبر", "person"),
        ({"preferred_username": "", "name": "Zoé 👩🏽‍🔬"}, "Zoé 👩🏽‍🔬", "zoe"),
        ({"name": "N" * 300}, "N" * 100, "grace"),
        ({"name": "👩🏽‍🔬" * 80}, "👩🏽‍🔬" * 25, "grace"),
        ({"name": "Grace\u202e\u0000\n Hopper"}, "Grace Hopper", "grace"),
        ({"name": {"x": 1}, "given_name": "Grace", "family_name": "Hopper"}, "Grace Hopper", "grace"),
        ({"preferred_username": "Grace.Hopper@institut.example"}, "Grace Hopper", "grace-hopper"),
        ({"preferred_username": "admin"}, "Grace Hopper", "person"),
        ({"preferred_username": "../../etc", "name": "<b>Grace</b>"}, "&lt;b&gt;Grace&lt;/b&gt;", "etc"),
        ({"preferred_username": ["x"], "name": None}, "", "person"),
    ],
)
async def test_any_name_makes_an_account(
    tmp_path: Path, provider: Provider, claims: dict[str, object], name: str, slug: str
) -> None:
    provider.claims |= claims
    provider.in_token = tuple(provider.claims)
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as client:
        back = await client.get(provider.answer(await left(client)))
        page = await client.get(back.headers["location"])
        given = {key: html.unescape(value) for key, value in GIVEN.findall(page.text)}
        answer = await joined(client, back, **{key: value for key, value in given.items() if value})
    check(page.text)
    assert given == {"name": html.unescape(name), "slug": slug}
    assert answer.status_code == 303, answer.text


async def test_a_short_name_that_will_not_do_keeps_what_was_typed(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as client:
        back = await client.get(provider.answer(await left(client)))
        taken = await joined(client, back, slug="ada-lovelace", name="Grace <i>")
        wrong = await joined(client, back, slug="No Such")
        good = await joined(client, back)
        again = await client.post(
            "/sign-in/with/one/new",
            data={"csrf": csrf((await client.get("/account")).text), "attempt": back.headers["location"][-20:]},
        )
    assert (taken.status_code, wrong.status_code, good.status_code) == (409, 422, 303)
    for page in (taken, wrong):
        assert 'id="slug-wrong"' in page.text
    assert 'value="Grace &lt;i&gt;"' in taken.text
    assert again.status_code == 400


async def test_a_suspended_person_is_told_so_and_kept_out(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab:
        async with lab.browser() as client:
            await joined(client, await client.get(provider.answer(await left(client))))
        grace = await lab.rooms.identity.people.named(slug="grace")
        await lab.rooms.identity.people.suspend(by=await lab.rooms.identity.people.first_admin(), user_id=grace.id)
        async with lab.browser() as client:
            answer = await client.get(provider.answer(await left(client)))
    assert answer.status_code == 403
    assert "suspended" in answer.text


async def test_the_last_way_in_is_not_taken_away(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as client:
        await joined(client, await client.get(provider.answer(await left(client))))
        grace = await lab.rooms.identity.people.named(slug="grace")
        (identity,) = await lab.rooms.identity.outside.list(user_id=grace.id)
        page = await client.get("/account/security")
        answer = await client.post(f"/account/identities/{identity.id}/end", data={"csrf": csrf(page.text)})
        headers = {"X-CSRF-Token": csrf(page.text)}
        by_program = await client.delete(f"/api/v1/me/identities/{identity.id}", headers=headers)
        ada = await lab.rooms.identity.people.first_admin()
        with pytest.raises(errors.NotFound):
            await lab.rooms.identity.outside.unlink(user=ada, identity_id=identity.id)
    assert answer.status_code == by_program.status_code == 409
    assert "only way in" in answer.text


async def test_a_person_of_another_account_is_not_linked_twice(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab:
        async with lab.browser() as client:
            await joined(client, await client.get(provider.answer(await left(client))))
        ada = await lab.rooms.identity.people.first_admin()
        async with lab.browser(await lab.token(ada)) as client:
            form = {"csrf": csrf((await client.get("/account/security")).text)}
            leaving = await client.post("/account/providers/one", data=form)
            address = provider.answer(html.unescape(LEAVING.findall(leaving.text)[0]))
            async with lab.browser() as stranger:
                stolen = await stranger.get(address)
            back = await client.get(address)
            attempt = back.headers["location"].partition("attempt=")[2]
            answer = await client.post("/account/providers/one/link", data={**form, "attempt": attempt})
            assert await lab.rooms.identity.outside.list(user_id=ada.id) == ()
    assert stolen.status_code == 400
    assert answer.status_code == 409


async def test_passwords_may_be_left_to_administrators(tmp_path: Path, provider: Provider) -> None:
    only = {"password_for": "administrators"}
    async with lab_with(tmp_path, provider, how=ANYONE, people=only) as lab:
        ada = await lab.rooms.identity.people.first_admin()
        await lab.person("Bob Martin", by=ada)
        async with lab.browser() as client:
            page = await client.get("/sign-in")
            refused = await signed_in(client, login="bob-martin")
            wrong = await signed_in(client, login="bob-martin", password="not his password")
            entered = await signed_in(client, login=ada.slug)
    check(page.text)
    assert page.text.index("/sign-in/with/one") < page.text.index('name="password"')
    assert (refused.status_code, wrong.status_code, entered.status_code) == (403, 401, 303)
    assert "passwords are for administrators" in refused.text.lower()


async def test_tokens_are_neither_stored_nor_logged(
    tmp_path: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[str] = []

    def remembered(claims: Mapping[str, object]) -> str:
        made.append(provider.signed(claims))
        return made[-1]

    provider.forge = remembered
    async with lab_with(tmp_path, provider, how=ANYONE) as lab, lab.browser() as client:
        location = await left(client)
        address = provider.answer(location)
        await joined(client, await client.get(address))
    told = "".join(capsys.readouterr())
    stored = b"".join(path.read_bytes() for path in (tmp_path / "lab").rglob("*") if path.is_file())
    (state, code) = (re.search(f"{name}=([^&]+)", address) for name in ("state", "code"))
    assert state is not None
    assert code is not None
    for secret in (made[0].rpartition(".")[2], state[1], code[1], SECRET):
        assert secret not in told
        assert secret.encode() not in stored


async def test_administrators_try_each_provider_and_nobody_else_does(tmp_path: Path, provider: Provider) -> None:
    async with outside_provider.running() as gone, lab_with(tmp_path, provider, gone, how=ANYONE) as lab:
        await gone.stop()
        ada = await lab.rooms.identity.people.first_admin()
        bob = await lab.person("Bob Martin", by=ada)
        async with lab.browser(await lab.token(ada)) as client:
            answer = await client.get("/api/v1/admin/providers")
        async with lab.browser(await lab.token(bob)) as client:
            assert (await client.get("/api/v1/admin/providers")).status_code == 404
    assert answer.status_code == 200, answer.text
    one, two = answer.json()
    assert (one["id"], one["well"], one["problems"]) == ("one", True, [])
    assert one["redirect_uri"] == "https://etabli.localhost/sign-in/with/one/back"
    assert two["well"] is False
    assert "does not answer" in two["problems"][0]
    assert SECRET not in json.dumps([one, two])


# What an administrator writes down.


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"client_secret": "hunter2"}, "put it in a file of mode 0600"),
        ({"issuer": "http://sso.example.org"}, "must begin with https://"),
        ({"issuer": "https://user@sso.example.org"}, "must begin with https://"),
        ({"issuer": ""}, "`issuer` is missing"),
        ({"id": "No"}, "2 to 32 of a-z"),
        ({"client_secret_env": "not a name"}, "the name of an environment variable"),
        ({"client_secret_env": "SECRET", "client_secret_file": "/x"}, "not both"),
        ({"scopes": ["profile"]}, "must hold `openid`"),
        ({"kind": "facebook"}, "'openid', 'keycloak'"),
        ({"enter": {"email_domains": ["@insee.fr"]}}, "is no domain"),
        ({"clock_leeway_seconds": 86400}, "less than or equal to 600"),
        ({"unheard_of": 1}, "Extra inputs"),
    ],
)
def test_a_setting_that_cannot_hold_says_what_to_do(given: dict[str, object], sentence: str) -> None:
    whole = {"id": "sso", "name": "SSO", "issuer": "https://sso.example.org", "client_id": "lab", **given}
    with pytest.raises(errors.Invalid) as refused:
        section(IdentitySettings, {"identity": {"providers": [whole]}}, "identity")
    assert sentence in refused.value.message
    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize("kind", ["keycloak", "proconnect", "google", "github"])
def test_each_kind_needs_no_more_than_what_is_the_administrators(kind: str) -> None:
    own = {} if kind in {"google", "github"} else {"issuer": "https://sso.example.org"}
    made = ProviderSettings.model_validate({"id": kind, "name": kind, "kind": kind, "client_id": "lab", **own})
    assert made.enter.invited_only
    assert not made.trust_email
    claims = ProviderSettings.model_validate({**made.model_dump(), "claims": {"groups": "roles"}}).claims
    assert (claims.groups, claims.slug) == ("roles", made.claims.slug)


def test_a_secret_that_others_read_or_that_is_not_there_is_said_at_the_start(
    tmp_path: Path, provider: Provider
) -> None:
    good = provider_settings(tmp_path, "one", provider)
    by_name = good.model_copy(update={"client_secret_file": None, "client_secret_env": "SSO_SECRET"})
    assert client_secrets.problems([good, by_name], {"SSO_SECRET": "x"}) == []
    assert "`SSO_SECRET` is not set" in client_secrets.problems([by_name], {})[0]
    (tmp_path / "secret").chmod(0o640)
    assert "chmod 600" in client_secrets.problems([good], {})[0]
    (tmp_path / "secret").unlink()
    assert "cannot be read" in client_secrets.problems([good], {})[0]


def test_passwords_are_left_to_administrators_only_where_a_provider_lets_the_others_in() -> None:
    with pytest.raises(errors.Invalid, match="where a provider lets the others in"):
        section(IdentitySettings, {"identity": {"password_for": "administrators"}}, "identity")


# Providers with habits of their own.


async def test_a_signed_userinfo_is_believed_where_the_provider_signs_it(tmp_path: Path, provider: Provider) -> None:
    provider.claims = {
        "sub": "agent-1",
        "email": "marie.curie@institut.example",
        "given_name": "Marie",
        "usual_name": "Curie",
        "siret": "12002701600563",
        "acr": "eidas1",
    }
    provider.in_token = ("sub", "acr")
    base = {"iss": provider.issuer, "aud": CLIENT}
    provider.userinfo = lambda claims: Response(provider.signed({**claims, **base}), media_type="application/jwt")
    how = {"kind": "proconnect", "trust_email": True, "enter": {"claims": {"siret": ["12002701600563"]}}}
    async with lab_with(tmp_path, provider, how=how) as lab, lab.browser() as client:
        location = await left(client)
        back = await client.get(provider.answer(location))
        page = await client.get(back.headers["location"])
        provider.claims["acr"] = "eidas0"
        weaker = await client.get(provider.answer(await left(client)))
    assert "acr_values=eidas1" in location
    assert dict(GIVEN.findall(page.text)) == {"name": "Marie Curie", "slug": "marie-curie"}
    assert "marie.curie@institut.example" in page.text
    assert weaker.status_code == 400


async def test_github_says_who_somebody_is_by_its_api(tmp_path: Path, provider: Provider) -> None:
    how = {
        "kind": "github",
        "issuer": f"http://127.0.0.1:{provider.port}/github",
        "scopes": ["read:user", "user:email", "read:org"],
        "trust_email": True,
        "enter": {"groups": ["institut/prices"]},
    }
    async with lab_with(tmp_path, provider, how=how) as lab, lab.browser() as client:
        location = await left(client)
        back = await client.get(provider.answer(location, iss=None))
        page = await client.get(back.headers["location"])
        done = await joined(client, back)
        provider.github["/user/teams"] = []
        async with lab.browser() as later:
            out = await later.get(provider.answer(await left(later), iss=None))
        provider.github["/user"] = {"message": "Bad credentials"}
        async with lab.browser() as later:
            broken = await later.get(provider.answer(await left(later), iss=None))
        ada = await lab.rooms.identity.people.first_admin()
        (finding,) = await lab.rooms.identity.outside.check(by=ada)
    assert "nonce" not in location
    assert dict(GIVEN.findall(page.text)) == {"name": "Grace Hopper", "slug": "ghopper"}
    assert "grace@institut.example" in page.text
    assert done.status_code == 303
    assert (out.status_code, broken.status_code) == (403, 400)
    assert finding.well, finding.problems


@pytest.mark.parametrize(
    ("claims", "factors"), [({"amr": ["pwd", "otp"]}, 2), ({"acr": "mfa"}, 2), ({"amr": ["pwd"]}, 1), ({}, 1)]
)
async def test_a_second_factor_over_there_counts_where_an_administrator_says_so(
    tmp_path: Path, provider: Provider, claims: dict[str, object], factors: int
) -> None:
    provider.claims |= claims
    provider.in_token = tuple(provider.claims)
    how = {**ANYONE, "second_factor": ["otp", "mfa"]}
    async with lab_with(tmp_path, provider, how=how) as lab, lab.browser() as client:
        await joined(client, await client.get(provider.answer(await left(client))))
        token = client.cookies[visitors.SESSION_COOKIE]
        found = await lab.rooms.identity.sessions.find(token=token)
    assert found is not None
    assert (found.session.method, found.session.factors) == ("outside:one", factors)
