"""A TCP port that leads to a UNIX socket, for libraries that only know TCP. It also answers as their HTTP proxy, so that the host they
sign is the public one while they connect here."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path


class Relay:
    """Listens on 127.0.0.1 at a port that the kernel chose, until closed."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """What to give as an HTTP proxy."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Accept nobody else."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One request per connection: the absolute address of a proxied request becomes a path, and the connection closes after."""
        with client, socket.socket(socket.AF_UNIX) as upstream:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(65536)
                if not piece:
                    return
                head += piece
            top, _, rest = head.partition(b"\r\n\r\n")
            top = re.sub(rb"^(\w+) http://[^/]+", rb"\1 ", top)
            top = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", top) + b"\r\nConnection: close"
            try:
                upstream.connect(str(self._target))
            except OSError:
                return
            upstream.sendall(top + b"\r\n\r\n" + rest)
            back = threading.Thread(target=_pump, args=(upstream, client), daemon=True)
            back.start()
            _pump(client, upstream)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
