"""What every test has: walls against the outside, tiers in order, and a word on what was left out."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator

import pytest

TIERS = ("binaries", "browser", "cluster")
LEFT_OUT: dict[str, str] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Cheapest first; what this machine cannot run is taken out and said at the end."""
    items.sort(key=_tier)
    kept, gone = [], []
    for item in items:
        reason = next((why for tier in TIERS if item.get_closest_marker(tier) and (why := _why_not(tier))), None)
        if reason is None:
            kept.append(item)
        else:
            gone.append(item)
            LEFT_OUT[TIERS[_tier(item) - 1]] = reason
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was left out, and why."""
    for tier, reason in LEFT_OUT.items():
        terminalreporter.write_line(f"left out: {tier}, because {reason}")


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Unit tests reach this machine and nothing else."""
    if any(request.node.get_closest_marker(tier) for tier in TIERS):
        yield
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in {"localhost", "127.0.0.1", "::1"}:
            raise AssertionError(f"a unit test asked for {host}: mark it `binaries`, or bring a local server")
        connect(self, address)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "connect", guarded)
        yield


def _tier(item: pytest.Item) -> int:
    return max((index for index, tier in enumerate(TIERS, start=1) if item.get_closest_marker(tier)), default=0)


def _why_not(tier: str) -> str | None:
    """Why a tier cannot run here; None where it can."""
    if os.geteuid() == 0:
        return "tests of sandboxes and of the lab run as an ordinary user (`make test` sees to it)"
    if tier == "browser" and shutil.which("chromium") is None:
        return "there is no `chromium`: apt-get install chromium"
    return None
