"""A person's browser, as far as the door and the portal look at it: cookies of one host each, redirects, what Fetch Metadata says.

`*.localhost` is resolved by browsers alone, so every request goes to 127.0.0.1 and names its host.
"""

from collections.abc import Mapping
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import httpx

NAVIGATION = {
    "Accept": "text/html",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}
POLL_TIMEOUT = 60.0


class Browser:
    """Requests to one front door, over kept connections. Threads may share it once it is signed in."""

    def __init__(self, *, domain: str, port: int) -> None:
        self.port = port
        self.host = f"{domain}:{port}"
        self.cookies: dict[str, dict[str, str]] = {}
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=POLL_TIMEOUT, trust_env=False)

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        host: str = "",
        headers: Mapping[str, str] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request, redirects not followed; cookies that the answer sets are kept."""
        host = host or self.host
        sent = {"Host": host, "Sec-Fetch-Site": "same-origin", **(headers or {})}
        if method != "GET":
            sent["Origin"] = f"http://{host}"
        if kept := self.cookies.get(host):
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in kept.items())
        response = self._http.request(method, path, headers=sent, json=json, data=form)
        for line in response.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies.setdefault(host, {})[name] = morsel.value
        return response

    def navigate(self, path: str, *, host: str = "") -> httpx.Response:
        """What a person's click leads to, through at most five redirects."""
        for _ in range(6):
            response = self.request("GET", path, host=host, headers=NAVIGATION)
            if not response.is_redirect:
                return response
            there = urlsplit(response.headers["location"])
            host = there.netloc or host
            path = there.path + (f"?{there.query}" if there.query else "")
        return response
