#!/usr/bin/env bash
# Expected: an ASGI program is told its peer's close code, 1005 for a close without one, 1006 for a lost connection (RFC 6455, section 7.1.5).
# Happens:  Hypercorn 0.18.0 reports 1006 for all of them; uvicorn 0.54.0 reports a lost connection as 1005, except with --ws websockets.
# Matters:  a program cannot tell a client that left from one that will resume: it ends the session that is needed, or keeps one for nobody.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check hypercorn==0.18.0 uvicorn==0.54.0 websockets==17.4
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
    while (event := await receive())["type"] != "websocket.disconnect":
        pass
    with open("codes", "a") as codes:
        print(int(event["code"]), file=codes)
PYTHON
cat >"$folder/ends.py" <<'PYTHON'
import importlib.metadata, pathlib, socket, subprocess, sys, time

folder = pathlib.Path(sys.argv[1])
codes = folder / "codes"

def connect(port):
    """A connection, once the server listens."""
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            time.sleep(0.05)
    raise SystemExit("The server does not listen.")

def end(port, frame):
    """Opens a WebSocket, ends it by the frame, or cuts it, and returns the code that the program was told."""
    codes.write_text("")
    with connect(port) as peer:
        peer.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += peer.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        if frame:
            peer.sendall(frame)
            assert peer.recv(4096)[0] == 0x88  # the server's close frame
    for _ in range(200):
        if codes.read_text():
            return int(codes.read_text())
        time.sleep(0.05)

def masked(payload):
    return bytes([0x88, 0x80 | len(payload), 0, 0, 0, 0]) + payload

for name, *words in (["hypercorn", "--bind", "127.0.0.1:{}"], ["uvicorn", "--port", "{}"], ["uvicorn", "--port", "{}", "--ws", "websockets"]):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen(
        [folder / "venv/bin" / name, *(word.format(port) for word in words), "app:app"], cwd=folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        seen = [end(port, frame) for frame in (masked((4001).to_bytes(2, "big")), masked(b""), b"")]
        print(name, importlib.metadata.version(name), *words[2:], "reports 4001, none and a cut as", seen)
    finally:
        server.terminate()
        server.wait(30)
PYTHON
seen=$("$folder/venv/bin/python" "$folder/ends.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
hypercorn 0.18.0 reports 4001, none and a cut as [1006, 1006, 1006]
uvicorn 0.54.0 reports 4001, none and a cut as [4001, 1005, 1005]
uvicorn 0.54.0 --ws websockets reports 4001, none and a cut as [4001, 1005, 1006]
EXPECTED
