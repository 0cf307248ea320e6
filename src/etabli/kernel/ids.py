"""Ids and slugs: how things are named for machines, and by people.

An id is random, short enough for a host name's label and never reused. A slug names a person or a project in addresses, buckets,
policies and tokens: persons and projects share one namespace of slugs, so that a bucket or a claim can name either and mean one.
"""

import re
import secrets
import unicodedata

from etabli.kernel import errors

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # No i, l, o, 0, 1: read aloud and typed without mistake.
ID_LENGTH = 10  # 31^10 is about 8e14: a million ids collide with a chance under one in a thousand.

# S3 bucket names have 3 to 63 characters; wildcards of S3 and vault policies must never appear (facts: `*` read other buckets).
SLUG = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,39}")
SLUG_LENGTH = 40

RESERVED_SLUGS = frozenset(
    {
        "admin",
        "administrator",
        "anonymous",
        "api",
        "default",
        "diffusion",
        "etabli",
        "kube-system",
        "lab",
        "localhost",
        "new",
    }
    | {"project", "public", "root", "s3", "svc", "system", "user", "vault", "www"}
)


def new_id() -> str:
    """A fresh random id: 10 characters of `[a-z2-9]`, starting with a letter so that it may begin a DNS label."""
    return secrets.choice(ALPHABET[:23]) + "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH - 1))


def is_slug(text: str) -> bool:
    """Whether `text` may name a person or a project: 3 to 40 of `[a-z0-9-]`, no dash at an end or doubled, not reserved."""
    return len(text) <= SLUG_LENGTH and SLUG.fullmatch(text) is not None and text not in RESERVED_SLUGS


def check_slug(text: str, *, field: str = "slug") -> str:
    """`text` if it is a slug, else `Invalid` naming `field`."""
    if is_slug(text):
        return text
    raise errors.Invalid(
        f"`{text[:60]}` cannot be used as a name in addresses",
        hint="use 3 to 40 lower case letters, digits and single dashes",
        fields={field: "3 to 40 of a-z, 0-9 and single dashes, and not a reserved word"},
    )


def slugify(text: str, *, fallback: str) -> str:
    """A slug close to `text` (`Élodie Dupont` → `elodie-dupont`), or `fallback` where nothing usable is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_LENGTH].strip("-")
    return slug if is_slug(slug) else fallback
