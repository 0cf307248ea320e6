"""GitHub, which has OAuth and an API and no OpenID: what its API says, in the words of OpenID's claims.

REST API, «Users», «Emails», «Organizations», «Teams». Organisations and teams are asked where the scope `read:org` is: they are the
groups `organisation` and `organisation/team`. What is said comes from the API itself over TLS, so that there is nothing signed to
check.
"""

from collections.abc import Mapping, Sequence

from etabli.identity.outside import errors
from etabli.identity.outside.calls import Answer, Calls
from etabli.identity.outside.directory import Endpoints
from etabli.identity.outside.models import Claims
from etabli.identity.outside.settings import ProviderSettings

GITHUB = "https://github.com"
GITHUB_API = "https://api.github.com"
PAGE = (
    "?per_page=100"  # The most that it gives at once; a person in more teams than that is known by the first hundred.
)


def endpoints(settings: ProviderSettings) -> Endpoints:
    """Where GitHub, or an institution's GitHub Enterprise, answers."""
    issuer = settings.issuer.rstrip("/")
    return Endpoints(
        issuer=issuer,
        authorization=f"{issuer}/login/oauth/authorize",
        token=f"{issuer}/login/oauth/access_token",
        userinfo=f"{api(settings)}/user",
        jwks=None,
        posts_secret=True,
    )


def api(settings: ProviderSettings) -> str:
    """Where its API is."""
    issuer = settings.issuer.rstrip("/")
    return settings.api.rstrip("/") or (GITHUB_API if issuer == GITHUB else f"{issuer}/api/v3")


async def claims(settings: ProviderSettings, calls: Calls, *, token: str) -> Claims:
    """Who the token is of. Unavailable while GitHub is down; NotAccepted where it answers otherwise than it should."""
    person = await _get(settings, calls, "/user", token)
    if not isinstance(person, Mapping) or not isinstance(person.get("id"), int):
        raise errors.NotAccepted(settings.name, "its API says nothing of who signed in")
    found: dict[str, object] = {**person, "sub": str(person["id"]), "email": None, "email_verified": False}
    if "user:email" in settings.scopes or "user" in settings.scopes:
        for item in _objects(await _get(settings, calls, f"/user/emails{PAGE}", token)):
            if item.get("primary") is True:
                found |= {"email": item.get("email"), "email_verified": item.get("verified")}
    if "read:org" in settings.scopes:
        found["groups"] = await _groups(settings, calls, token)
    return found


async def _groups(settings: ProviderSettings, calls: Calls, token: str) -> Sequence[str]:
    organisations = _objects(await _get(settings, calls, f"/user/orgs{PAGE}", token))
    teams = _objects(await _get(settings, calls, f"/user/teams{PAGE}", token))
    names = [str(one.get("login")) for one in organisations]
    for team in teams:
        within = team.get("organization")
        if isinstance(within, Mapping):
            names.append(f"{within.get('login')}/{team.get('slug')}")
    return names


async def _get(settings: ProviderSettings, calls: Calls, path: str, token: str) -> object:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    answer: Answer = await calls.ask("GET", api(settings) + path, headers=headers)
    if answer.status != 200:
        raise errors.NotAccepted(settings.name, f"its API answers {answer.status} at `{path}`")
    return answer.json()


def _objects(found: object) -> Sequence[Mapping[str, object]]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
