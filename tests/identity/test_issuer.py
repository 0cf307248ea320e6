"""Tokens for the parts of the lab: who, for whom, until when."""

import base64
import json
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from etabli.identity import keys, models
from etabli.identity.models import Audience, Role
from etabli.kernel import errors
from tests.identity.lab import ORIGIN, Lab

HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)


async def issued(
    lab: Lab, subject: models.User | models.Project, audience: Audience = Audience.API, lifetime: timedelta = HOUR
) -> str:
    return await lab.identity.issuer.issue(subject=subject, audience=audience, lifetime=lifetime)


def said(token: str) -> dict[str, object]:
    payload = token.split(".")[1]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


async def test_a_person_s_token_says_slug_groups_and_one_audience(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    for name, role in (("Work", Role.MEMBER), ("Read", Role.VIEWER), ("Own", Role.OWNER)):
        project = await lab.identity.projects.create(by=admin, name=name)
        await lab.identity.projects.set_member(by=admin, project_id=project.id, slug="bob", role=role)
    claims = said(await issued(lab, bob, Audience.S3))
    now = int(lab.clock.now().timestamp())
    assert isinstance(claims.pop("jti"), str)
    assert claims == {
        "iss": ORIGIN,
        "sub": bob.id,
        "aud": "s3",
        "iat": now,
        "exp": now + 3600,
        "preferred_username": "bob",
        "groups": ["own", "work"],
        "reader_groups": ["read"],
    }


async def test_a_project_s_token_speaks_for_the_project_alone(lab: Lab, admin: models.User) -> None:
    project = await lab.identity.projects.create(by=admin, name="Flights")
    claims = said(await issued(lab, project, Audience.VAULT))
    assert (claims["sub"], claims["preferred_username"], claims["groups"]) == (project.id, "flights", [])


async def test_a_member_removed_is_in_no_token_made_after(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    project = await lab.identity.projects.create(by=admin, name="Flights")
    await lab.identity.projects.set_member(by=admin, project_id=project.id, slug="bob", role=Role.MEMBER)
    await lab.identity.projects.remove_member(by=admin, project_id=project.id, user_id=bob.id)
    assert said(await issued(lab, bob))["groups"] == []


async def test_who_is_suspended_and_what_is_archived_get_no_token(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    project = await lab.identity.projects.create(by=admin, name="Flights")
    await lab.identity.people.suspend(by=admin, user_id=bob.id)
    await lab.identity.projects.archive(by=admin, project_id=project.id)
    for subject in (bob, project):
        with pytest.raises(errors.Forbidden):
            await issued(lab, subject)


@pytest.mark.parametrize("lifetime", [timedelta(), -HOUR, keys.LONGEST_TOKEN + timedelta(seconds=1)])
async def test_a_token_that_would_live_too_long_is_not_made(lab: Lab, admin: models.User, lifetime: timedelta) -> None:
    with pytest.raises(errors.Invalid):
        await issued(lab, admin, lifetime=lifetime)


async def test_the_api_knows_who_its_token_speaks_for(lab: Lab, admin: models.User) -> None:
    caller = lab.identity.issuer.verify(await issued(lab, admin))
    assert (caller.subject, caller.slug, caller.groups) == (admin.id, "ada-lovelace", ())
    assert caller.expires_at == lab.clock.now() + HOUR


@pytest.mark.parametrize("audience", [Audience.S3, Audience.VAULT, Audience.K8S])
async def test_a_token_of_another_audience_buys_nothing_at_the_api(
    lab: Lab, admin: models.User, audience: Audience
) -> None:
    with pytest.raises(errors.Forbidden):
        lab.identity.issuer.verify(await issued(lab, admin, audience))


async def test_forged_tokens_are_refused(lab: Lab, admin: models.User) -> None:
    good = await issued(lab, admin)
    header, payload, signature = good.split(".")
    claims, kid = said(good), lab.identity.keys.signing().kid
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": kid}).encode()).decode().rstrip("=")
    public = lab.identity.keys.signing().key.as_pem(private=False)
    stranger = RSAKey.generate_key(2048, private=True)
    forged = [
        f"{none}.{payload}.",
        f"{none}.{payload}.{signature}",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        jwt.encode({"alg": "HS256", "kid": kid}, claims, OctKey.import_key(base64.b64encode(public))),
        jwt.encode({"alg": "RS256", "kid": kid}, claims, stranger),
        jwt.encode({"alg": "RS256", "kid": "x", "jwk": stranger.as_dict(private=False)}, claims, stranger),
        "",
        "x",
        "é.é.é",
        "." * 100_000,
    ]
    for token in forged:
        with pytest.raises(errors.Forbidden):
            lab.identity.issuer.verify(token)
    assert lab.identity.issuer.verify(good)


async def test_a_token_of_another_issuer_with_our_key_is_refused(lab: Lab, admin: models.User) -> None:
    other = await lab.restarted(origin="https://elsewhere.example.org")
    token = await other.issuer.issue(subject=admin, audience=Audience.API, lifetime=HOUR)
    with pytest.raises(errors.Forbidden):
        lab.identity.issuer.verify(token)


async def test_a_token_ends_when_it_says(lab: Lab, admin: models.User) -> None:
    token = await issued(lab, admin)
    await lab.clock.advance(HOUR - timedelta(seconds=1))
    assert lab.identity.issuer.verify(token)
    await lab.clock.advance(timedelta(seconds=1))
    with pytest.raises(errors.Forbidden):
        lab.identity.issuer.verify(token)


@pytest.mark.parametrize("by", [YEAR, -DAY])
async def test_when_the_clock_jumps_old_tokens_are_refused_and_new_ones_are_sane(
    lab: Lab, admin: models.User, by: timedelta
) -> None:
    old = await issued(lab, admin)
    lab.clock.jump(by)
    with pytest.raises(errors.Forbidden):
        lab.identity.issuer.verify(old)
    await lab.identity.sweep()
    caller = lab.identity.issuer.verify(await issued(lab, admin))
    assert caller.expires_at == lab.clock.now() + HOUR
