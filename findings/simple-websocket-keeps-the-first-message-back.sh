#!/usr/bin/env bash
# Expected: a client hands on the message that a server sends at once, also where it arrives together with the answer to the handshake.
# Happens:  simple-websocket 1.1.0 keeps it until the server sends something more, ping or message: receive() waits beside a whole message.
# Matters:  whether the greeting of a server is read depends on how the network cuts it: with both ends waiting, the session stands still.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check simple-websocket==1.1.0 websockets==17.4
"$folder/venv/bin/python" - <<'PYTHON'
import base64, hashlib, importlib.metadata, socket, threading, time
import simple_websocket, websockets.sync.client

def serve(listener, apart):
    """Answers a handshake and sends a greeting, in one piece or apart, and 2 s later a second message."""
    peer, _ = listener.accept()
    with peer:
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer.recv(4096)
        key = next(line.split(":", 1)[1].strip() for line in head.decode().splitlines() if line.lower().startswith("sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        answer = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        if apart:
            peer.sendall(answer)
            time.sleep(0.5)
            answer = b""
        peer.sendall(answer + b"\x81\x08greeting")
        time.sleep(2)
        peer.sendall(b"\x81\x06second")
        peer.recv(4096)

def by_simple_websocket(url):
    client = simple_websocket.Client(url)
    first = client.receive(timeout=1.5)
    later = client.receive(timeout=5)
    client.close()
    return first, later

def by_websockets(url):
    with websockets.sync.client.connect(url, proxy=None, close_timeout=1) as client:
        return client.recv(timeout=1.5), client.recv(timeout=5)

for name, client in {"simple-websocket": by_simple_websocket, "websockets": by_websockets}.items():
    for apart in (True, False):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=serve, args=(listener, apart), daemon=True).start()
            first, later = client(f"ws://127.0.0.1:{listener.getsockname()[1]}/")
        print(
            name, importlib.metadata.version(name), "with a greeting", "after" if apart else "beside",
            f"the handshake receives {first} within 1.5 s, then {later}")
        assert (first, later) == ((None, "greeting") if name == "simple-websocket" and not apart else ("greeting", "second"))
PYTHON
