#!/usr/bin/env bash
# Expected: `async for websocket in connect(uri)`, the reconnecting client of websockets, backs off while the server does not want it.
# Happens:  websockets 17.4 backs off only where connecting fails. A server that opens the WebSocket and closes it, as with 1013 (try again
#           later), is connected to again at once, hundreds of times a second: each handshake sets the delay back to none.
# Matters:  refusing after the handshake is the only way to give a browser a code: a full or stopping server is then kept busy by the very
#           clients that it asked to wait; the program has to wait by itself after each close.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check websockets==17.4
cat >"$folder/again.py" <<'PYTHON'
import asyncio, importlib.metadata, logging
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

async def attempts(refuse_handshake):
    """How often a client connects within three seconds, in the loop of the documentation."""
    count = 0

    def handshake(connection, request):
        nonlocal count
        count += 1
        return connection.respond(503, "full") if refuse_handshake else None

    async def close(peer):
        await peer.close(1013, "try again later")

    async def client(uri):
        async for peer in connect(uri):
            try:
                async for _ in peer:
                    pass
            except ConnectionClosed:
                continue

    async with serve(close, "127.0.0.1", 0, process_request=handshake) as server:
        task = asyncio.create_task(client(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        await asyncio.sleep(3)
        task.cancel()
    return count

async def main():
    print("websockets", importlib.metadata.version("websockets"))
    refused, closed = await attempts(True), await attempts(False)
    print("within three seconds a server that answers 503 is asked", refused, "times, one that closes with 1013", closed, "times")
    print("few and many:", refused <= 5, closed >= 50)

logging.disable()
asyncio.run(main())
PYTHON
seen=$("$folder/venv/bin/python" "$folder/again.py")
echo "$seen"
diff - <(sed '2d' <<<"$seen") <<'EXPECTED'
websockets 17.4
few and many: True True
EXPECTED
