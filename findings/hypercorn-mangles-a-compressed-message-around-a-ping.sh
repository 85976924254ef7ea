#!/usr/bin/env bash
# Expected: a ping may come between the fragments of a compressed message (RFC 6455, section 5.4, and RFC 7692, section 6.1).
# Happens:  wsproto 1.3.2 hands on the fragments after it as they are, still compressed: Hypercorn 0.18.0 receives "oK…"; tornado 6.6.1 closes.
# Matters:  a client that writes as it goes and pings by a timer, as is usual in Go, delivers a wrong text now and then; no error is logged.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  hypercorn==0.18.0 wsproto==1.3.2 uvicorn==0.54.0 websockets==17.4 tornado==6.6.1
cat >"$folder/app.py" <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    event = await receive()
    with open("received", "a") as received:
        print(ascii(event.get("text", event["type"])), file=received)
PYTHON
cat >"$folder/tornado_app.py" <<'PYTHON'
import asyncio, sys
import tornado.web, tornado.websocket

class Socket(tornado.websocket.WebSocketHandler):
    text = "websocket.disconnect"

    def get_compression_options(self):
        return {}

    def on_message(self, message):
        self.text = message

    def on_close(self):
        with open("received", "a") as received:
            print(ascii(self.text), file=received)

async def main():
    tornado.web.Application([("/", Socket)]).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()

asyncio.run(main())
PYTHON
cat >"$folder/fragments.py" <<'PYTHON'
import importlib.metadata, pathlib, socket, subprocess, sys, time, zlib

folder = pathlib.Path(sys.argv[1])
received = folder / "received"

def connect(port):
    """A connection, once the server listens."""
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            time.sleep(0.05)
    raise SystemExit("The server does not listen.")

def frame(first, payload):
    return bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload

def send(port, between):
    """Sends "one", compressed, in two fragments with the frames between them, and returns what the program received."""
    received.write_text("")
    deflate = zlib.compressobj(wbits=-15)
    payload = (deflate.compress(b"one") + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
    with connect(port) as peer:
        peer.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += peer.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101 ") and b"permessage-deflate" in answer, answer
        peer.sendall(frame(0x41, payload[:2]) + between + frame(0x80, payload[2:]))
        try:
            if between:
                peer.recv(4096)  # the pong, or the end
            peer.sendall(frame(0x88, b""))
            while peer.recv(4096):
                pass
        except OSError:
            pass  # A server that closed in the middle may reset the connection.
    for _ in range(200):
        if received.read_text():
            return received.read_text().strip()
        time.sleep(0.05)

python = folder / "venv/bin/python"
for name, *words in (
    ["hypercorn", "-m", "hypercorn", "--bind", "127.0.0.1:{}", "app:app"],
    ["tornado", "tornado_app.py", "{}"],
    ["uvicorn", "-m", "uvicorn", "--port", "{}", "app:app"],
):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen(
        [python, *(word.format(port) for word in words)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        print(name, importlib.metadata.version(name), "without a ping:", send(port, b""), "with one:", send(port, frame(0x89, b"")))
    finally:
        server.terminate()
        server.wait(30)
PYTHON
seen=$("$folder/venv/bin/python" "$folder/fragments.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
hypercorn 0.18.0 without a ping: 'one' with one: 'oK\x05\x00'
tornado 6.6.1 without a ping: 'one' with one: 'websocket.disconnect'
uvicorn 0.54.0 without a ping: 'one' with one: 'one'
EXPECTED
