"""A project's network in small: `inside.py S3_SOCKET CREDENTIALS_SOCKET PREFACE HOSTS -- COMMAND…`, in fresh namespaces.

The agent's part: S3 at the front door's port, the credential endpoint at 169.254.170.2 with the preface sent first on each connection.
"""

import asyncio
import subprocess
import sys

DOOR_PORT = 8000


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except OSError:
        return


async def relay(address: str, port: int, path: str, preface: str = "") -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner, outer = await asyncio.open_unix_connection(path)
            outer.write(preface.encode())
            await asyncio.gather(pump(reader, outer), pump(inner, writer))
            outer.close()
        except OSError:
            return
        finally:
            writer.close()

    await asyncio.start_server(connected, address, port)


async def main(s3: str, credentials: str, preface: str, command: list[str]) -> int:
    await relay("127.0.0.1", DOOR_PORT, s3)
    await relay("169.254.170.2", 80, credentials, preface)
    child = await asyncio.create_subprocess_exec(*command)
    return await child.wait()


split = sys.argv.index("--")
s3_socket, credentials_socket, first_line, hosts = sys.argv[1:split]
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "address", "add", "169.254.170.2/32", "dev", "lo"], check=True)
subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
sys.exit(asyncio.run(main(s3_socket, credentials_socket, first_line + "\n", sys.argv[split + 1 :])))
