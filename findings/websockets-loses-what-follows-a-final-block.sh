#!/usr/bin/env bash
# Expected: a message whose last DEFLATE block is marked as final is one of the valid ones (RFC 7692, section 7.2.3.4), as are those after it.
# Happens:  websockets 17.4, tornado 6.6.1 and autobahn 26.10.2 turn all messages after it into empty ones, without an error; aiohttp reads them.
# Matters:  a peer that compresses so loses everything but its first message: nothing is logged, the connection stays, the text is "".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  aiohttp==3.14.5 autobahn==26.10.2 tornado==6.6.1 websockets==17.4
"$folder/venv/bin/python" - <<'PYTHON'
import aiohttp, asyncio, base64, hashlib, importlib.metadata, zlib
import tornado.websocket, websockets
from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateResponseAccept

def frame(text):
    """A compressed text message, of one block that is final, and the octet that RFC 7692 adds to it."""
    deflate = zlib.compressobj(wbits=-15)
    payload = deflate.compress(text) + deflate.flush() + b"\0"
    return bytes([0xC1, len(payload)]) + payload

async def serve(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    headers = dict(line.lower().split(":", 1) for line in head.splitlines()[1:] if line)
    assert "permessage-deflate" in headers["sec-websocket-extensions"]
    key = next(line.split(":", 1)[1].strip() for line in head.splitlines() if line.lower().startswith("sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    writer.write((
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").encode())
    writer.write(frame(b"one") + frame(b"two") + frame(b"three"))
    await reader.read(1)
    writer.close()

async def by_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url, compress=15) as socket:
        return [await socket.receive_str() for _ in range(3)]

async def by_autobahn(url):
    messages = asyncio.Queue()

    class Client(WebSocketClientProtocol):
        def onMessage(self, payload, binary):
            messages.put_nowait(payload.decode())

    factory = WebSocketClientFactory(url)
    factory.protocol = Client
    factory.setProtocolOptions(
        perMessageCompressionOffers=[PerMessageDeflateOffer()], perMessageCompressionAccept=PerMessageDeflateResponseAccept)
    transport, _ = await asyncio.get_running_loop().create_connection(factory, "127.0.0.1", factory.port)
    seen = [await messages.get() for _ in range(3)]
    transport.abort()
    return seen

async def by_tornado(url):
    socket = await tornado.websocket.websocket_connect(url, compression_options={})
    seen = [await socket.read_message() for _ in range(3)]
    socket.close()
    return seen

async def by_websockets(url):
    async with websockets.connect(url, proxy=None) as socket:
        return [await socket.recv() for _ in range(3)]

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    for name, client in {"aiohttp": by_aiohttp, "autobahn": by_autobahn, "tornado": by_tornado, "websockets": by_websockets}.items():
        seen = await asyncio.wait_for(client(url), 10)
        print(name, importlib.metadata.version(name), "receives", seen)
        assert seen == (["one", "two", "three"] if name == "aiohttp" else ["one", "", ""])

asyncio.run(main())
PYTHON
