"""The vocabulary of the front door, and its few rules that are pure: what a cookie is called, which path is local. No I/O.

Light on purpose: the authoriser imports it, and nothing heavier.
"""

import hashlib
import re
from datetime import timedelta

from etabli.kernel import errors

SERVICE_COOKIE = (
    "__Host-etabli-service"  # The prefix binds it to one host, `Path=/` and `Secure` (RFC 6265bis, 4.1.3.2).
)
ENTER_PATH = "/.etabli/enter"  # On every service's host; the portal answers there.
CODE_LIFETIME = timedelta(seconds=30)  # One redirect of a browser.
# As long as browsers keep a cookie. It is worth nothing once the portal's own session has ended, which use of the service prolongs.
SESSION_LIFETIME = timedelta(days=400)
OPENING_ROLES = ("owner", "member")  # Whoever may open a project's services.

_CONTROL_OR_BACKSLASH = re.compile(r"[\x00-\x20\x7f\\]")


def digest(secret: str) -> str:
    """What is stored of a code or a cookie: its SHA-256. 32 random bytes need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


def local_path(to: str) -> str:
    """`to` if it leads nowhere but to this host: one slash first, nothing that browsers skip or read as a slash. Else Invalid.

    WHATWG URL: a backslash is a slash, tabs and line breaks are removed before parsing, `//host` is another host.
    """
    if not to.startswith("/") or to.startswith("//") or _CONTROL_OR_BACKSLASH.search(to):
        raise errors.Invalid(
            "the address to go to is not one of this service", fields={"to": "a path that starts with one `/`"}
        )
    return to


def set_cookie(token: str) -> str:
    """The Set-Cookie header that signs a browser in to one service's host. On *.localhost browsers take it over http too."""
    age = int(SESSION_LIFETIME.total_seconds())
    return f"{SERVICE_COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={age}"
