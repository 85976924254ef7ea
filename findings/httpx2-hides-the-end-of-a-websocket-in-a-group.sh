#!/usr/bin/env bash
# Expected: an exception in the block of an async client's WebSocket, its own WebSocketDisconnect too, is caught around that block by its type.
# Happens:  httpx2 2.16.2, like httpx-ws 0.9.0, raises an ExceptionGroup with it there; httpx2's sync client and websockets raise it itself.
# Matters:  a loop that connects again after WebSocketDisconnect ends at the first restart of the server, and so does its program.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'httpx2[ws]==2.16.2' httpx-ws==0.9.0 httpx==0.28.1 websockets==17.4
cat >"$folder/loops.py" <<'PYTHON'
import asyncio, httpx2, httpx_ws, importlib.metadata, websockets
from httpx2.websockets import WebSocketDisconnect
from websockets.asyncio.server import serve

async def restarting(socket):
    await socket.send("work")
    await socket.close(1012)

async def by_httpx2(url):
    async with httpx2.AsyncClient() as client, client.websocket(url) as socket:
        while True:
            await socket.receive_text()

def by_httpx2_sync(url):
    with httpx2.Client() as client, client.websocket(url) as socket:
        while True:
            socket.receive_text()

async def by_httpx_ws(url):
    async with httpx_ws.aconnect_ws(url) as socket:
        while True:
            await socket.receive_text()

async def by_websockets(url):
    async with websockets.connect(url, proxy=None) as socket:
        while True:
            await socket.recv()

async def main():
    async with serve(restarting, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for name, client, ends in (
            ("httpx2", by_httpx2, WebSocketDisconnect),
            ("httpx2 sync", lambda url: asyncio.to_thread(by_httpx2_sync, url), WebSocketDisconnect),
            ("httpx-ws", by_httpx_ws, httpx_ws.WebSocketDisconnect),
            ("websockets", by_websockets, websockets.ConnectionClosed),
        ):
            try:
                await asyncio.wait_for(client(url), 20)
            except ends as end:
                seen = f"is caught by except {ends.__name__}"
            except Exception as error:
                seen = f"is {error!r}"
            print(name, importlib.metadata.version(name.split()[0]), "told of a restart by 1012:", seen)

asyncio.run(main())
PYTHON
seen=$("$folder/venv/bin/python" "$folder/loops.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
httpx2 2.16.2 told of a restart by 1012: is ExceptionGroup('unhandled errors in a TaskGroup', [WebSocketDisconnect(<CloseReason.SERVICE_RESTART: 1012>, '')])
httpx2 sync 2.16.2 told of a restart by 1012: is caught by except WebSocketDisconnect
httpx-ws 0.9.0 told of a restart by 1012: is ExceptionGroup('unhandled errors in a TaskGroup', [WebSocketDisconnect(<CloseReason.SERVICE_RESTART: 1012>, '')])
websockets 17.4 told of a restart by 1012: is caught by except ConnectionClosed
EXPECTED
