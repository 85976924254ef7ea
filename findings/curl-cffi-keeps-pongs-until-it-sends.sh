#!/usr/bin/env bash
# Expected: a WebSocket client that waits for messages answers pings meanwhile (RFC 6455, section 5.5.2, "as soon as is practical"), and as
#           AsyncWebSocket.pong documents: "Replies to server pings are automatic".
# Happens:  curl-cffi 0.17.0 (libcurl 8.23.0) keeps its pongs until the program sends something of its own; one that only listens answers none.
# Matters:  a server that judges by pongs whether its peer lives takes a listening program for dead, however often it pings.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check curl-cffi==0.17.0 websockets==17.4
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio, curl_cffi
from websockets.asyncio.server import serve

async def answered(pings):
    """How many of the pings have their pong within two seconds."""
    return len((await asyncio.wait(pings, timeout=2))[0])

async def main():
    seen = asyncio.get_running_loop().create_future()

    async def handler(socket):
        pings = [await socket.ping(f"ping {number}".encode()) for number in range(3)]
        listening = await answered(pings)
        await socket.send("say something")
        await socket.recv()
        seen.set_result((listening, await answered(pings)))

    async with serve(handler, "127.0.0.1", 0, ping_interval=None) as server, curl_cffi.AsyncSession() as session:
        socket = await session.ws_connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await socket.recv_str(timeout=30)
        await socket.send_str("something")
        listening, after = await seen
        await socket.close()
    print("curl-cffi", curl_cffi.__version__, "with", curl_cffi.__curl_version__.split()[0])
    print(f"pongs for 3 pings: {listening} while the client waits in recv, {after} after it has sent a message")
    assert (listening, after) == (0, 3)

asyncio.run(main())
PYTHON
