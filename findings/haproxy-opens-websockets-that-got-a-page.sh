#!/usr/bin/env bash
# Expected: a WebSocket over HTTP/2 (RFC 8441) is open once the server has answered 101; HAProxy turns every other answer into a failure.
# Happens:  HAProxy 2.6.12 hands a page with 200 on as 200, which is over HTTP/2 what 101 is over HTTP/1.1: the WebSocket counts as open.
# Matters:  a wrong path or a maintenance page reads as a WebSocket that opens and ends: clients that then reset their delay never back off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check h2==4.4.1
(
  cd "$folder"
  apt-get download -qq -o APT::Sandbox::User=root haproxy=2.6.12-1+deb12u4 liblua5.3-0=5.3.6-2 \
    libopentracing-c-wrapper0=1.1.3-3+b1 libopentracing1=1.6.0-4
  for package in *.deb; do dpkg-deb -x "$package" debian; done
)
cat >"$folder/page.py" <<'PYTHON'
import os, pathlib, socket, subprocess, sys, threading, time
import h2.config, h2.connection, h2.events

def serve(listener):
    """Answers every request with a page, the handshakes of WebSockets included."""
    while True:
        peer = listener.accept()[0]
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npage")
        peer.close()

def connect():
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            time.sleep(0.05)
    raise SystemExit("no HAProxy")

def over_http_1():
    peer = connect()
    peer.sendall(b"GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    return peer.recv(65536).split()[1].decode()

def over_http_2():
    client, peer = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8")), connect()
    client.initiate_connection()
    peer.sendall(client.data_to_send())
    while not any(isinstance(event, h2.events.RemoteSettingsChanged) for event in client.receive_data(peer.recv(65536))):
        pass
    client.send_headers(1, [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/socket"), (":authority", "x"),
        ("sec-websocket-version", "13")])
    peer.sendall(client.data_to_send())
    while True:
        for event in client.receive_data(peer.recv(65536)):
            if isinstance(event, h2.events.ResponseReceived):
                return dict(event.headers)[":status"]

folder = pathlib.Path(sys.argv[1])
server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(server,), daemon=True).start()
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
(folder / "haproxy.cfg").write_text(f"""
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
listen websockets
  bind 127.0.0.1:{port}
  server one 127.0.0.1:{server.getsockname()[1]}
""")
binary, libraries = folder / "debian/usr/sbin/haproxy", next((folder / "debian").glob("usr/lib/*/liblua5.3.so.0")).parent
environment = dict(os.environ, LD_LIBRARY_PATH=str(libraries))
print(*subprocess.run([binary, "-v"], env=environment, capture_output=True, text=True).stdout.split()[:3])
haproxy = subprocess.Popen([binary, "-f", folder / "haproxy.cfg"], env=environment, stderr=subprocess.DEVNULL)
try:
    print("over HTTP/1.1, where 101 opens a WebSocket:", over_http_1())
    print("over HTTP/2, where 200 opens a WebSocket:", over_http_2())
finally:
    haproxy.terminate()
    haproxy.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/page.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
HAProxy version 2.6.12-1+deb12u4
over HTTP/1.1, where 101 opens a WebSocket: 200
over HTTP/2, where 200 opens a WebSocket: 200
EXPECTED
