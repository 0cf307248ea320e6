"""From claims to what is said of a person; and whether the settings let them in. Claims are other people's words: bounded, tidied."""

import unicodedata
from collections.abc import Mapping, Sequence

from etabli.identity import accounts
from etabli.identity.outside.id_tokens import check_subject
from etabli.identity.outside.models import Claims, Said
from etabli.identity.outside.settings import Entry, ProviderSettings

MOST_GROUPS = 1000
LONGEST_GROUP = 200  # Characters; a longer one is nobody's rule.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_BINDING = frozenset("\u200c\u200d\ufe0e\ufe0f") | {
    chr(mark) for mark in range(0x1F3FB, 0x1F400)
}  # Joiners, variants, skin tones.


def said(claims: Claims, *, settings: ProviderSettings, issuer: str) -> Said:
    """What the provider says. NotBelieved where it does not even say who."""
    names = settings.claims
    return Said(
        subject=check_subject(claims),
        issuer=issuer,
        login=_line(find(claims, names.slug)),
        name=_name(claims, names.name),
        email=_email(claims, settings),
        groups=_groups(find(claims, names.groups)),
        factors=2 if _second_factor(claims, settings.second_factor) else 1,
        claims=claims,
    )


def may_enter(said: Said, entry: Entry) -> bool:
    """Whether one of the rules of entry lets them in. Where there is none, those who have an account may."""
    if entry.anyone or entry.invited_only:
        return True
    if said.email is not None and said.email.rpartition("@")[2] in entry.email_domains:
        return True
    if any(group in entry.groups for group in said.groups):
        return True
    return any(_has_value(find(said.claims, name), values) for name, values in entry.claims.items())


def missing(claims: Claims, settings: ProviderSettings) -> bool:
    """Whether a claim is absent that the settings need: then userinfo is asked."""
    names = settings.claims
    wanted = [names.slug, names.email, *names.name.split(), *settings.enter.claims]
    if settings.projects or settings.enter.groups:
        wanted.append(names.groups)
    return any(find(claims, name) is None for name in wanted if name)


def find(claims: Claims, name: str) -> object:
    """A claim by its name, or by the path that leads to it; None where there is none."""
    if not name:
        return None
    if name in claims:
        return claims[name]
    here: object = claims
    for step in name.split("."):
        if not isinstance(here, Mapping):
            return None
        here = here.get(step)
    return here


def proposed_login(login: str, name: str) -> str:
    """What a short name is made from: what they are called there, an address without its domain; else their name."""
    return login.partition("@")[0] or name


def _name(claims: Claims, names: str) -> str:
    """A display name that fits, or nothing: joined, in one line, cut between characters that people see as one."""
    joined = " ".join(filter(None, (_line(find(claims, name)) for name in names.split())))
    if not joined and names == "name":
        joined = " ".join(filter(None, (_line(find(claims, name)) for name in ("given_name", "family_name"))))
    return _cut(accounts.tidy(joined), accounts.LONGEST_NAME)


def _line(value: object) -> str:
    """A text of one line, without what cannot be seen; nothing where it is no text."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return ""
    kept = (mark for mark in value[: 10 * accounts.LONGEST_NAME] if not _is_hidden(mark))
    return " ".join("".join(kept).split())


def _is_hidden(mark: str) -> bool:
    joins = "\u200c\u200d"  # Persian and Hindi words, and most emoji, are made with these.
    return mark not in joins and not mark.isspace() and unicodedata.category(mark) in HIDDEN


def _cut(text: str, longest: int) -> str:
    """At most so many characters, no mark left without what it stands on, no joiner at the end."""
    if len(text) <= longest:
        return text
    end = longest
    while end > 0 and (unicodedata.combining(text[end]) or text[end] in _BINDING or text[end - 1] in _BINDING):
        end -= 1
    return text[: end or longest].rstrip()


def _email(claims: Claims, settings: ProviderSettings) -> str | None:
    """Their e-mail, where the provider verified it. ASCII alone: `K` (U+212A) in lower case is somebody else's `k`."""
    text, names = find(claims, settings.claims.email), settings.claims
    verified = find(claims, names.email_verified) if names.email_verified else True
    if verified is not True and verified != "true":  # Some providers say it as a text.
        return None
    if not isinstance(text, str) or not text.isascii():
        return None
    email = text.lower()
    return email if email and accounts.email_problem(email) is None else None


def _groups(value: object) -> tuple[str, ...]:
    listed: Sequence[object] = value if isinstance(value, list) else [value]
    texts = [one for one in listed[:MOST_GROUPS] if isinstance(one, str) and 0 < len(one) <= LONGEST_GROUP]
    return tuple(sorted({one for one in texts if one.isprintable()}))


def _second_factor(claims: Claims, believed: Sequence[str]) -> bool:
    return _has_value(claims.get("amr"), believed) or _has_value(claims.get("acr"), believed)


def _has_value(value: object, wanted: Sequence[str]) -> bool:
    listed = value if isinstance(value, list) else [value]
    return any(_text(one) in wanted for one in listed)


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None
