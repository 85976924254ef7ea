#!/usr/bin/env bash
# Expected: a server that is told to stop says so to its WebSockets by 1001 (going away) or 1012 (service restart), as uvicorn 0.54.0 does.
# Happens:  granian 2.8.9 cuts them without a close frame; Hypercorn 0.18.0 waits three seconds and reports 1011 (internal error).
# Matters:  each deployment reads as a network fault or a fault of the program; clients cannot tell a restart, nor choose their delay by it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check granian==2.8.9 hypercorn==0.18.0 uvicorn==0.54.0 websockets==17.4
cat >"$folder/app.py" <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
PYTHON
cat >"$folder/stop.py" <<'PYTHON'
import asyncio, importlib.metadata, pathlib, socket, subprocess, sys
import websockets

folder = pathlib.Path(sys.argv[1])

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])

async def close_code(name, *words):
    """The code with which the server closes a WebSocket after SIGTERM, or None without a close frame."""
    port = free_port()
    server = subprocess.Popen(
        [folder / "venv/bin" / name, *(word.format(port=port) for word in words), "app:app"], cwd=folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                peer = await websockets.connect(f"ws://127.0.0.1:{port}/")
                break
            except OSError:
                await asyncio.sleep(0.05)
        server.terminate()
        await asyncio.wait_for(peer.wait_closed(), 30)
        return peer.protocol.close_rcvd and int(peer.protocol.close_rcvd.code)
    finally:
        server.wait(30)

async def main():
    for name, words in {
        "uvicorn": ["--port", "{port}"], "hypercorn": ["--bind", "127.0.0.1:{port}"],
        "granian": ["--interface", "asgi", "--port", "{port}"]}.items():
        print(name, importlib.metadata.version(name), "closes with", await close_code(name, *words))

asyncio.run(main())
PYTHON
seen=$("$folder/venv/bin/python" "$folder/stop.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
uvicorn 0.54.0 closes with 1012
hypercorn 0.18.0 closes with 1011
granian 2.8.9 closes with None
EXPECTED
