#!/usr/bin/env bash
# Expected: a WebSocket client that is no browser sends no Origin header unless it is told to, as websockets 16.0 does.
# Happens:  websocket-client 1.9.2 sends Origin made of the address that it connects to; only suppress_origin=True leaves it out.
# Matters:  behind a proxy that changes Host, a server that checks Origin against Host takes the program for a foreign web page and refuses it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check websocket-client==1.9.2 websockets==16.0
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata, socket, threading
import websocket, websockets.sync.client

def origin_of(connect):
    """The Origin header of one handshake, which is answered with 403."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests = []

    def serve():
        connection, _ = listener.accept()
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(4096)
            requests.append(data.decode())
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        connect(f"ws://127.0.0.1:{listener.getsockname()[1]}/chat")
    except Exception:
        pass  # The refusal is expected.
    thread.join()
    listener.close()
    lines = [line for line in requests[0].split("\r\n") if line.lower().startswith("origin:")]
    return lines[0] if lines else None

seen = {
    "websocket-client": origin_of(lambda url: websocket.create_connection(url, timeout=5)),
    "websocket-client, suppress_origin": origin_of(lambda url: websocket.create_connection(url, timeout=5, suppress_origin=True)),
    "websockets": origin_of(lambda url: websockets.sync.client.connect(url, open_timeout=5, proxy=None)),
}
for name in ("websocket-client", "websockets"):
    print(name, importlib.metadata.version(name))
for name, origin in seen.items():
    print(f"{name}: {origin or 'no Origin'}")
assert seen["websocket-client"] and seen["websocket-client"].lower().startswith("origin: http://127.0.0.1:")
assert seen["websocket-client, suppress_origin"] is None and seen["websockets"] is None
PYTHON
