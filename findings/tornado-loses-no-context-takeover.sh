#!/usr/bin/env bash
# Expected: who agrees to no_context_takeover compresses each message without the context of former ones (RFC 7692, section 7.1.1).
# Happens:  tornado 6.6.1 loses the parameter: its client uses the context that it gave up, its server agrees to the offer without it.
# Matters:  peers that save memory so, a usual setting for many connections, close with 1002 at the second message, or fail the handshake.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tornado==6.6.1 websockets==17.4
cat >"$folder/takeover.py" <<'PYTHON'
import asyncio, logging, tornado, tornado.httpserver, tornado.netutil, tornado.web
from tornado.websocket import WebSocketHandler, websocket_connect
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, NegotiationError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

logging.disable()  # of the handshake that fails as expected

class Socket(WebSocketHandler):
    def get_compression_options(self):
        return {}

    def on_message(self, message):
        self.write_message(message)

async def client():
    """What a server that demands client_no_context_takeover gets of two equal messages."""
    seen = asyncio.get_running_loop().create_future()

    async def handler(socket):
        received = []
        try:
            for _ in range(2):
                received.append(await socket.recv())
        except ConnectionClosed as closed:
            received.append(f"{closed.sent.code} {closed.sent.reason}")
        seen.set_result(received)

    extensions = [ServerPerMessageDeflateFactory(client_no_context_takeover=True)]
    async with serve(handler, "127.0.0.1", 0, compression=None, extensions=extensions) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        socket = await websocket_connect(url, compression_options={})
        for _ in range(2):
            await socket.write_message("hello hello hello")
        received = await seen
        socket.close()
    return received

async def server():
    """How a client that offers server_no_context_takeover fares."""
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Socket)]))
    server.add_sockets(sockets)
    extensions = [ClientPerMessageDeflateFactory(server_no_context_takeover=True)]
    try:
        url = f"ws://127.0.0.1:{sockets[0].getsockname()[1]}/"
        async with connect(url, compression=None, extensions=extensions) as socket:
            return socket.response.headers["Sec-WebSocket-Extensions"]
    except NegotiationError as error:
        return f"NegotiationError: {error}"
    finally:
        server.stop()

async def main():
    print("tornado", tornado.version)
    print("  a server gets of its client:", await client())
    print("  a client gets of its server:", await server())

asyncio.run(main())
PYTHON
seen=$("$folder/venv/bin/python" "$folder/takeover.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
tornado 6.6.1
  a server gets of its client: ['hello hello hello', '1002 decompression failed']
  a client gets of its server: NegotiationError: Unsupported extension: name = permessage-deflate, params = []
EXPECTED
