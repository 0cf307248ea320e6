"""What each kind of provider is like, so that an administrator writes no more than what is theirs.

Sources: Keycloak's server administration guide; Google's OpenID Connect page; ProConnect's documentation for service providers
(`acr_values`, userinfo as a signed JWT, `given_name` and `usual_name`); GitHub's «Authorizing OAuth apps» and REST API.
"""

from collections.abc import Mapping
from typing import Literal

Kind = Literal["openid", "keycloak", "proconnect", "google", "github"]

_PRESETS: Mapping[str, Mapping[str, object]] = {
    "openid": {},
    "keycloak": {},
    "proconnect": {
        "scopes": ["openid", "given_name", "usual_name", "email", "siret", "uid"],
        "acr_values": ["eidas1"],
        "userinfo": "always",
        "claims": {"slug": "email", "name": "given_name usual_name", "email_verified": "", "groups": ""},
    },
    "google": {"issuer": "https://accounts.google.com", "claims": {"slug": "email", "groups": ""}},
    "github": {
        "issuer": "https://github.com",
        "scopes": ["read:user", "user:email"],
        "claims": {"slug": "login"},
    },
}


def filled(given: Mapping[str, object]) -> Mapping[str, object]:
    """Settings as given, with what their kind has for the rest; tables are filled key by key."""
    preset = _PRESETS.get(str(given.get("kind", "openid")), {})
    whole = {**preset, **given}
    for key, value in preset.items():
        own = given.get(key)
        if isinstance(value, Mapping) and isinstance(own, Mapping):
            whole[key] = {**value, **own}
    return whole
