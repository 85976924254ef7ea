#!/usr/bin/env bash
# Expected: `with client.lock("job"):` runs its block only while it holds the lock, as threading.Lock does: it waits, or raises.
# Happens:  etcd3gw 2.7.0 tries once and enters all the same, two holders at a time; etcd3 0.12.0 fails with a TypeError where it should wait.
# Matters:  the lock excludes nobody, and only who asks is_acquired() inside the block finds out; tests with one holder show nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  etcd3gw==2.7.0 etcd3==0.12.0 protobuf==3.20.3 tenacity==9.2.1 grpcio==1.85.3
(
  cd "$folder"
  apt-get download -qq -o APT::Sandbox::User=root etcd-server=3.4.23-4+b4
  dpkg-deb -x etcd-server*.deb debian
)
cat >"$folder/locks.py" <<'PYTHON'
import importlib.metadata, pathlib, socket, subprocess, sys, time, urllib.request
import etcd3, etcd3gw

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def healthy(port):
    for _ in range(200):
        try:
            return b"true" in urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).read()
        except OSError:
            time.sleep(0.05)
    raise SystemExit("no etcd")

def hold_twice(first, second):
    """Whether the block of the second lock runs inside that of the first, and what each lock says there."""
    with first:
        try:
            with second:
                return f"both are in their blocks, acquired: {first.is_acquired()} and {second.is_acquired()}"
        except Exception as error:
            return f"{type(error).__name__} keeps the second out"

folder = pathlib.Path(sys.argv[1])
port, peers = free_port(), free_port()
url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peers}"
binary = folder / "debian/usr/bin/etcd"
server = subprocess.Popen(
    [binary, "--data-dir", folder / "data", "--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer_url,
     "--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"default={peer_url}"], stderr=subprocess.DEVNULL)
try:
    healthy(port)
    print("etcd", subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.split()[2])
    for name, clients in {
        "etcd3gw": [etcd3gw.client(port=port, api_path="/v3/") for _ in range(2)],
        "etcd3": [etcd3.client(port=port) for _ in range(2)]}.items():
        print(name, importlib.metadata.version(name) + ":", hold_twice(*(client.lock(f"job-{name}", ttl=60) for client in clients)))
finally:
    server.kill()
    server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/locks.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
etcd 3.4.23
etcd3gw 2.7.0: both are in their blocks, acquired: True and False
etcd3 0.12.0: TypeError keeps the second out
EXPECTED
