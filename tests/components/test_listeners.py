"""Who has a port, read from the kernel."""

import os
import socket

import pytest

from etabli.components import listeners, models
from etabli.kernel import errors


@pytest.mark.parametrize(
    ("taken", "wanted"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("127.0.0.1", "::")],
)
def test_a_listener_on_an_address_that_overlaps_is_found(taken: str, wanted: str) -> None:
    with socket.create_server((taken, 0)) as server:
        found = listeners.find(models.Port(wanted, server.getsockname()[1]))
    assert found is not None
    assert found.pid == os.getpid()
    assert "python" in found.command or "pytest" in found.command


def test_another_address_and_a_connection_are_not_in_the_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert listeners.find(models.Port("127.0.0.2", server.getsockname()[1])) is None
        assert listeners.find(models.Port("127.0.0.1", client.getsockname()[1])) is None


def test_a_taken_port_is_a_conflict_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(errors.Conflict) as conflict:
        listeners.check_free(models.Port("127.0.0.1", server.getsockname()[1]))
    assert f"process {os.getpid()}" in conflict.value.message
    assert "--port" in str(conflict.value.hint)
