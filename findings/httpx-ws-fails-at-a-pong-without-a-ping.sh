#!/usr/bin/env bash
# Expected: a WebSocket client ignores a pong without a ping, which may serve as a heartbeat in one direction (RFC 6455, section 5.5.3).
# Happens:  httpx-ws 0.9.0 raises KeyError in its background task, which ends the WebSocket and throws away the messages that follow.
# Matters:  servers that keep connections alive by pongs alone, as .NET's do by default, lose such a client at the first heartbeat.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check httpx-ws==0.9.0 httpx==0.28.1 websockets==17.4
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio, httpx_ws, importlib.metadata
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

async def handler(socket):
    await socket.pong(b"heartbeat")
    await socket.send("work")
    await socket.wait_closed()

def causes(error):
    return [leaf for cause in error.exceptions for leaf in causes(cause)] if hasattr(error, "exceptions") else [error]

async def main():
    async with serve(handler, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with connect("ws://" + address) as socket:
            ignored = await socket.recv()
        raised, received = [], None
        try:
            async with httpx_ws.aconnect_ws("http://" + address) as socket:
                received = await socket.receive_text(timeout=30)
        except Exception as error:
            raised = [type(cause).__name__ for cause in causes(error)]
    print("websockets", importlib.metadata.version("websockets"), "receives", ignored)
    print("httpx-ws", importlib.metadata.version("httpx-ws"), "receives", received, "and raises", raised)
    assert ignored == "work" and received is None and "KeyError" in raised

asyncio.run(main())
PYTHON
