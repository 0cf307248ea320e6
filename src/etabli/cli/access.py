"""`login`, `logout`, `whoami`: this machine's programs at a lab that runs elsewhere, by a token (RFC 8628).

`login` shows a code and an address; the person agrees there, in a browser where they are signed in, on any device.
"""

import platform
import sys
import time
from typing import cast

import typer

from etabli.cli import client, stored
from etabli.kernel import errors

CLIENT = "etabli-cli"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPES = "read services files projects"
SLOWER = 5  # Seconds more between two questions, each time that the lab says so (RFC 8628, 3.5).


def add_to(app: typer.Typer, store: stored.Store) -> None:
    """Add the commands, which keep tokens in `store`."""

    @app.command()
    def login(
        lab: str = typer.Argument(help="The lab's address: `https://lab.example.org`."),
        scopes: str = typer.Option(SCOPES, help="What commands may do here; `admin` for an administrator's."),
        browser: bool = typer.Option(True, help="Open the page here, where there is a browser."),
    ) -> None:
        """Sign this machine in to a lab that runs elsewhere."""
        origin = client.origin_of(lab)
        with client.plain(origin) as http:
            asked = _ask(http, scopes)
            page, code = str(asked["verification_uri"]), str(asked["user_code"])
            print(f"Open {page}\nand type the code {code}", file=sys.stderr, flush=True)
            if browser and sys.stdin.isatty():
                typer.launch(str(asked["verification_uri_complete"]))
            token = _wait(http, asked)
        store.keep(origin, token)
        print(f"signed in to {origin} as {_me(client.remote(origin, token))['slug']}")

    @app.command()
    def logout(
        lab: str = typer.Argument(None, help="The lab's address; the one that commands mean if left out."),
    ) -> None:
        """End this machine's token at a lab, and forget it."""
        known = store.read()
        origin = client.origin_of(lab) if lab else known.default
        if origin is None or origin not in known.tokens:
            raise errors.NotFound("this machine is signed in to no such lab", hint="`etabli login` signs it in")
        token = known.tokens[origin]
        store.forget(origin)
        with client.plain(origin) as http:
            http.send("/oidc/revoke", {"token": token, "client_id": CLIENT})
        print(f"signed out of {origin}")

    @app.command()
    def whoami(context: typer.Context) -> None:
        """Who commands act as, and at which lab."""
        calling = cast("client.Client", context.obj)
        me = _me(calling)
        print(f"{me['slug']}\t{me['name']}\t{calling.where}")


def _me(calling: client.Client) -> dict[str, object]:
    return cast("dict[str, object]", calling.get("/me"))


def _ask(http: client.Plain, scopes: str) -> dict[str, object]:
    name = f"etabli on {platform.node() or 'a machine'}"
    answer = http.send("/oidc/device_authorization", {"client_id": CLIENT, "scope": scopes, "name": name})
    if "error" in answer:
        raise errors.Refused(str(answer.get("error_description") or answer["error"]))
    return answer


def _wait(http: client.Plain, asked: dict[str, object]) -> str:
    """The token, once its person agreed. Refused where they did not, or not in time."""
    form = {"grant_type": GRANT, "client_id": CLIENT, "device_code": str(asked["device_code"])}
    interval = float(str(asked.get("interval", 5)))  # RFC 8628, 3.2: five where the lab says nothing.
    deadline = time.monotonic() + float(str(asked["expires_in"]))
    while time.monotonic() < deadline:
        time.sleep(interval)
        try:
            answer = http.send("/oidc/token", form)
        except errors.Unavailable:
            interval += SLOWER  # The lab restarts, or the network is away (3.5: less often then).
            continue
        if token := answer.get("access_token"):
            return str(token)
        if answer.get("error") == "slow_down":
            interval += SLOWER
        elif answer.get("error") != "authorization_pending":
            raise errors.Refused(
                str(answer.get("error_description") or answer.get("error")), hint="`etabli login` again"
            )
    raise errors.Refused("nobody agreed in time", hint="`etabli login` again")
