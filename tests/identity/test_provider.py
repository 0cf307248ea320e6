"""The OpenID provider's refusals, as functions over plain requests. The whole path by a standard client is in test_flow.py."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from etabli.identity import errors, forms, models, provider
from etabli.kernel import errors as kernel_errors
from tests.identity.lab import ORIGIN, Lab

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "https://app.example.org/callback?from=etabli"


@pytest.fixture
async def app(lab: Lab, admin: models.User) -> models.RegisteredClient:
    return await lab.identity.clients.register(by=admin, name="App", redirect_uris=[REDIRECT])


def query(app: models.RegisteredClient, **changes: str) -> dict[str, str]:
    whole = {
        "response_type": "code",
        "client_id": app.client.id,
        "redirect_uri": REDIRECT,
        "scope": "openid profile email groups",
        "state": "s",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in whole.items() if value}


async def code_of(lab: Lab, app: models.RegisteredClient, user: models.User, **changes: str) -> str:
    request = await lab.identity.provider.check(query(app, **changes))
    location = await lab.identity.provider.authorize(request=request, user=user)
    return parse_qs(urlsplit(location).query)["code"][0]


async def exchange(lab: Lab, app: models.RegisteredClient, code: str, /, **changes: str) -> Mapping[str, object]:
    form = {
        "grant_type": "authorization_code",
        "client_id": app.client.id,
        "client_secret": app.secret or "",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **changes,
    }
    return await lab.identity.provider.token(
        form={name: value for name, value in form.items() if value}, authorization=None
    )


async def refusal(lab: Lab, app: models.RegisteredClient, code: str, /, **changes: str) -> str:
    with pytest.raises(errors.ProtocolError) as refused:
        await exchange(lab, app, code, **changes)
    return refused.value.code


async def test_the_answer_carries_code_state_and_issuer_to_the_registered_address(
    lab: Lab, admin: models.User, app: models.RegisteredClient
) -> None:
    request = await lab.identity.provider.check(query(app))
    parts = urlsplit(await lab.identity.provider.authorize(request=request, user=admin))
    answer = parse_qs(parts.query)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://app.example.org/callback"
    assert set(answer) == {"from", "code", "state", "iss"}
    assert (answer["from"], answer["state"], answer["iss"]) == (["etabli"], ["s"], [ORIGIN])


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "unknown"},
        {"client_id": ""},
        {"redirect_uri": ""},
        {"redirect_uri": "https://app.example.org/callback"},
        {"redirect_uri": REDIRECT + "&x=1"},
        {"redirect_uri": REDIRECT.upper()},
        {"redirect_uri": "https://evil.example/callback?from=etabli"},
    ],
)
async def test_the_browser_is_never_sent_where_nobody_registered(
    lab: Lab, app: models.RegisteredClient, changes: dict[str, str]
) -> None:
    with pytest.raises((kernel_errors.NotFound, kernel_errors.Invalid)):
        await lab.identity.provider.check(query(app, **changes))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"state": "x" * 3000}, "invalid_request"),
        ({"request": "ey"}, "request_not_supported"),
        ({"request_uri": "https://evil.example"}, "request_uri_not_supported"),
        ({"prompt": "login"}, "invalid_request"),
        ({"max_age": "1"}, "invalid_request"),
    ],
)
async def test_any_other_fault_goes_back_to_the_application(
    lab: Lab, app: models.RegisteredClient, changes: dict[str, str], code: str
) -> None:
    with pytest.raises(errors.RefusedBack) as refused:
        await lab.identity.provider.check(query(app, **changes))
    assert refused.value.location.startswith(REDIRECT + "&error=")
    assert parse_qs(urlsplit(refused.value.location).query)["error"] == [code]


async def test_a_code_buys_tokens_once_and_a_replay_revokes_them(
    lab: Lab, admin: models.User, app: models.RegisteredClient
) -> None:
    code = await code_of(lab, app, admin)
    token = str((await exchange(lab, app, code))["access_token"])
    assert (await lab.identity.provider.userinfo(token=token))["sub"] == admin.id
    assert await refusal(lab, app, code) == "invalid_grant"
    with pytest.raises(kernel_errors.Forbidden):
        await lab.identity.provider.userinfo(token=token)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": CHALLENGE}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": "https://app.example.org/other"}, "invalid_grant"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"code": "x"}, "invalid_grant"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_secret": ""}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
    ],
)
async def test_what_does_not_fit_the_code_buys_nothing(
    lab: Lab, admin: models.User, app: models.RegisteredClient, changes: dict[str, str], error: str
) -> None:
    code = await code_of(lab, app, admin)
    assert await refusal(lab, app, code, **changes) == error


async def test_a_wrong_verifier_spends_the_code(lab: Lab, admin: models.User, app: models.RegisteredClient) -> None:
    code = await code_of(lab, app, admin)
    assert await refusal(lab, app, code, code_verifier="w" * 43) == "invalid_grant"
    assert await refusal(lab, app, code) == "invalid_grant"


async def test_another_application_cannot_use_nor_spoil_a_code(
    lab: Lab, admin: models.User, app: models.RegisteredClient
) -> None:
    other = await lab.identity.clients.register(by=admin, name="Other", redirect_uris=[REDIRECT])
    code = await code_of(lab, app, admin)
    assert await refusal(lab, other, code) == "invalid_grant"
    assert await exchange(lab, app, code)


@pytest.mark.parametrize("by", [provider.CODE_LIFETIME, timedelta(days=365), timedelta(days=-1)])
async def test_a_code_is_good_for_a_minute_by_a_clock_that_runs_on(
    lab: Lab, admin: models.User, app: models.RegisteredClient, by: timedelta
) -> None:
    code = await code_of(lab, app, admin)
    lab.clock.jump(by)
    assert await refusal(lab, app, code) == "invalid_grant"


async def test_an_expired_code_stays_closed_after_the_sweep_when_the_clock_goes_back(
    lab: Lab, admin: models.User, app: models.RegisteredClient
) -> None:
    code = await code_of(lab, app, admin)
    lab.clock.jump(timedelta(days=1))
    await lab.identity.sweep()
    lab.clock.jump(timedelta(days=-1))
    assert await refusal(lab, app, code) == "invalid_grant"


async def test_a_person_suspended_between_code_and_token_gets_none(
    lab: Lab, admin: models.User, app: models.RegisteredClient
) -> None:
    bob = await lab.person("Bob", by=admin)
    code = await code_of(lab, app, bob)
    await lab.identity.people.suspend(by=admin, user_id=bob.id)
    assert await refusal(lab, app, code) == "invalid_grant"


async def test_scopes_bound_what_an_application_learns(
    lab: Lab, admin: models.User, app: models.RegisteredClient
) -> None:
    answer = await exchange(lab, app, await code_of(lab, app, admin, scope="openid unknown"))
    assert answer["scope"] == "openid"
    info = await lab.identity.provider.userinfo(token=str(answer["access_token"]))
    assert info == {"sub": admin.id, "preferred_username": "ada-lovelace"}


async def test_an_application_s_tokens_buy_nothing_at_the_lab_s_own_api(
    lab: Lab, admin: models.User, app: models.RegisteredClient
) -> None:
    answer = await exchange(lab, app, await code_of(lab, app, admin))
    for name in ("access_token", "id_token"):
        with pytest.raises(kernel_errors.Forbidden):
            lab.identity.issuer.verify(str(answer[name]))
    with pytest.raises(kernel_errors.Forbidden):
        await lab.identity.provider.userinfo(token=str(answer["id_token"]))


async def test_an_application_that_ended_signs_nobody_in(
    lab: Lab, admin: models.User, app: models.RegisteredClient
) -> None:
    code = await code_of(lab, app, admin)
    await lab.identity.clients.end(by=admin, client_id=app.client.id)
    assert await refusal(lab, app, code) == "invalid_client"
    with pytest.raises(kernel_errors.NotFound):
        await lab.identity.provider.check(query(app))


@pytest.mark.parametrize(
    "authorization",
    ["Basic", "Basic !!!", "Basic YQ==", "Bearer YTpi", "Basic gICA", "Basic " + base64.b64encode(b"x:y").decode()],
)
async def test_a_client_that_does_not_prove_itself_is_refused(
    lab: Lab, app: models.RegisteredClient, authorization: str
) -> None:
    with pytest.raises(errors.ProtocolError) as refused:
        await lab.identity.provider.token(form={}, authorization=authorization)
    assert refused.value.code == "invalid_client"


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example.org/cb",
        "javascript:alert(1)",
        "https://app.example.org/cb#x",
        "https://user@app.example.org/cb",
        "/cb",
        "https://",
        "https://a b/",
        "https://app.example.org:x/",
        "https://app.example.org/\n",
        "https://[::1/",
        "https://app.example.org/" + "x" * 3000,
    ],
)
async def test_an_address_that_a_code_must_not_go_to_is_not_registered(lab: Lab, admin: models.User, uri: str) -> None:
    with pytest.raises(kernel_errors.Invalid) as refused:
        await lab.identity.clients.register(by=admin, name="App", redirect_uris=[uri])
    assert set(refused.value.fields) == {"redirect_uris"}


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(errors.ProtocolError):
        forms.parse(b"code=a&code=b", forms.FORM)


@pytest.mark.parametrize("body", [b"\xff=1", b"a=1&" * 100, b"x" * 20_000])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(errors.ProtocolError):
        forms.parse(body, forms.FORM)
