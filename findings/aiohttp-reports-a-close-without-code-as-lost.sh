#!/usr/bin/env bash
# Expected: a close frame without a code is reported as 1005, and 1006 only where no close frame came (RFC 6455, section 7.1.5).
# Happens:  aiohttp 3.14.5 reports it as 1006 in its client and as 0 in its server; websockets 17.4 reports 1005 in both.
# Matters:  browsers close so by default: an orderly end counts as a lost connection, which a client repeats and an operator is alerted to.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiohttp==3.14.5 websockets==17.4
"$folder/venv/bin/python" - <<'PYTHON'
import aiohttp, asyncio, importlib.metadata
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

def close_without_code(socket):
    socket.protocol.send_close()
    for data in socket.protocol.data_to_send():
        socket.transport.write(data)

async def closing(socket):
    close_without_code(socket)
    await socket.wait_closed()

async def main():
    async with serve(closing, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            await socket.receive(timeout=30)
            in_client = int(socket.close_code)
        async with connect(url) as socket:
            await socket.wait_closed()
            peer_in_client = int(socket.close_code)

    codes = asyncio.Queue()

    async def with_aiohttp(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive(timeout=30)
        await codes.put(int(socket.close_code))
        return socket

    async def with_websockets(socket):
        await socket.wait_closed()
        await codes.put(int(socket.close_code))

    app = web.Application()
    app.router.add_get("/", with_aiohttp)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with connect(f"ws://127.0.0.1:{runner.addresses[0][1]}/") as socket:
        close_without_code(socket)
        in_server = await codes.get()
    await runner.cleanup()
    async with serve(with_websockets, "127.0.0.1", 0) as server:
        async with connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/") as socket:
            close_without_code(socket)
            peer_in_server = await codes.get()

    print("aiohttp", importlib.metadata.version("aiohttp"), f"reports {in_client} in the client, {in_server} in the server")
    print("websockets", importlib.metadata.version("websockets"), f"reports {peer_in_client} in the client, {peer_in_server} in the server")
    assert (in_client, in_server, peer_in_client, peer_in_server) == (1006, 0, 1005, 1005)

asyncio.run(main())
PYTHON
