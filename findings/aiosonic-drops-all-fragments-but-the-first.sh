#!/usr/bin/env bash
# Expected: a WebSocket client joins the fragments of a message (RFC 6455, section 5.4), as websockets does; a server may split any message.
# Happens:  aiosonic 1.3.3 returns the first fragment as if it were the message, and drops the others, without an error.
# Matters:  a JSON message is cut in the middle; a large one may arrive whole from one server and cut from another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiosonic==1.3.3 websockets==17.4
"$folder/venv/bin/python" - <<'PYTHON'
import aiosonic, asyncio, importlib.metadata
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

async def handler(socket):
    await socket.send(["first ", "second ", "third"])  # one message in fragments
    await socket.send("another message")
    await socket.wait_closed()

async def main():
    async with serve(handler, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with connect(url) as socket:
            whole = [await socket.recv(), await socket.recv()]
        async with aiosonic.WebSocketClient() as client, await client.connect(url) as socket:
            cut = [await socket.receive_text(timeout=30), await socket.receive_text(timeout=30)]
    print("websockets", importlib.metadata.version("websockets"), "receives", whole)
    print("aiosonic", importlib.metadata.version("aiosonic"), "receives", cut)
    assert whole == ["first second third", "another message"]
    assert cut == ["first ", "another message"]

asyncio.run(main())
PYTHON
