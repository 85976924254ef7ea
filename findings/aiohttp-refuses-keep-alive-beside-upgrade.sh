#!/usr/bin/env bash
# Expected: a WebSocket client takes a 101 with "Connection: keep-alive, Upgrade": the list must contain Upgrade (RFC 6455, section 4.1).
# Happens:  aiohttp 3.14.5, picows 2.3.1 and tornado 6.6.1 refuse such a list; websockets 17.4 and websocket-client 1.9.2 open it.
# Matters:  a server, or a proxy that adds its own token, works with some clients and not with others, which then report a wrong handshake.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiohttp==3.14.5 picows==2.3.1 tornado==6.6.1 \
  websockets==17.4 websocket-client==1.9.2
"$folder/venv/bin/python" - <<'PYTHON'
import aiohttp, asyncio, base64, contextlib, hashlib, importlib.metadata, logging, picows, tornado.websocket, websocket, websockets

logging.disable()  # of the handshakes that fail as expected

connection = None

async def answer(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = next(line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key:"))
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    writer.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: {connection}\r\n"
                 f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
    with contextlib.suppress(asyncio.CancelledError):
        await reader.read()
    writer.close()

async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session:
        await session.ws_connect(url, timeout=aiohttp.ClientWSTimeout(ws_close=0.1))

async def with_picows(url):
    (await picows.ws_connect(picows.WSListener, url))[0].disconnect()

async def with_tornado(url):
    (await tornado.websocket.websocket_connect(url)).close()

async def with_websockets(url):
    (await websockets.connect(url, close_timeout=0.1)).transport.abort()

async def with_websocket_client(url):
    (await asyncio.to_thread(websocket.create_connection, url)).shutdown()

async def main():
    global connection
    seen = {}
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        clients = {
            "aiohttp": with_aiohttp, "picows": with_picows, "tornado": with_tornado, "websockets": with_websockets,
            "websocket-client": with_websocket_client}
        for name, client in clients.items():
            print(name, importlib.metadata.version(name))
            for connection in ["Upgrade", "keep-alive, Upgrade"]:
                try:
                    await client(url)
                    seen[name, connection] = "opened"
                except Exception as error:
                    seen[name, connection] = f"{type(error).__name__}: {error}".partition(", url=")[0]
                print(f"  Connection: {connection}:", seen[name, connection])
    refused = [key for key, outcome in seen.items() if outcome != "opened"]
    assert refused == [(name, "keep-alive, Upgrade") for name in ("aiohttp", "picows", "tornado")]

asyncio.run(main())
PYTHON
