#!/usr/bin/env bash
# Expected: a client of server-sent events removes one space after the colon (HTML standard, 9.2.6); further spaces belong to the data.
# Happens:  aiohttp-sse-client 0.2.1 removes all of them.
# Matters:  a text that is streamed in pieces, as language models do, loses the spaces between its words, and code its indentation.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiohttp-sse-client==0.2.1 aiohttp==3.14.5
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio, importlib.metadata
from aiohttp import web
from aiohttp_sse_client.client import EventSource

PIECES = ["The", " leader", " has", "    four"]

async def stream(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for piece in PIECES:
        await response.write(f"data: {piece}\n\n".encode())
    return response

async def main():
    app = web.Application()
    app.router.add_get("/", stream)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    received = []
    async with EventSource(f"http://127.0.0.1:{runner.addresses[0][1]}/") as source:
        async for event in source:
            received.append(event.data)
            if len(received) == len(PIECES):
                break
    await runner.cleanup()
    print("aiohttp-sse-client", importlib.metadata.version("aiohttp-sse-client"))
    print("sent:    ", PIECES)
    print("received:", received)
    assert received == ["The", "leader", "has", "four"]

asyncio.run(main())
PYTHON
