"""Answers every request with 1 KiB: `echo.py ADDRESS PORT`. Standard library alone, so that it runs in any environment."""

import asyncio
import sys

BODY = b"x" * 1024
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + BODY


class Echo(asyncio.Protocol):
    """One connection; requests have no body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.waiting = transport, b""

    def data_received(self, data: bytes) -> None:
        whole, end, self.waiting = (self.waiting + data).rpartition(b"\r\n\r\n")
        if end:
            self.transport.write(ANSWER * (whole.count(b"\r\n\r\n") + 1))


async def main() -> None:
    """Answer until killed."""
    server = await asyncio.get_running_loop().create_server(Echo, sys.argv[1], int(sys.argv[2]), backlog=1024)
    await server.serve_forever()


asyncio.run(main())
