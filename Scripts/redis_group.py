#!/usr/bin/env python3
"""Stops the master of the chart's Redis group again and again, as Kubernetes does when it deletes a pod, while a client writes.

Three servers and three sentinels run by the chart's own script. Each pod has an address of its own in 127.0.0.0/8 and a new one whenever it
starts; its name resolves while it exists. Before a stopped pod returns, both other sentinels must name the same new master under the same
epoch, and it must have every write that was acknowledged. In some rounds a sentinel cannot resolve names when it should switch.
Usage: redis_group.py SERVER_PROGRAM ROUNDS [SCRIPT], with libnss_wrapper in LD_PRELOAD's reach
"""
import os, pathlib, shutil, socket, subprocess, sys, tempfile, threading, time

from processes import Processes, free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "deploy/helm/parallax-control-plane/files/redis.sh"
PASSWORD, MASTER_NAME = "a-password", "mymaster"
NAMES = [f"parallax-redis-{index}.parallax-redis" for index in range(3)]
# What the chart renders with its default values.
CONFIGURATION = """
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
repl-diskless-sync-delay 0
min-replicas-to-write 1
min-replicas-max-lag 1
"""
# Seconds: until a group is whole and a process has ended, and the longest stop, with all names and without, and time without a write.
WHOLE, END, STOP, BLIND_STOP, WITHOUT_WRITES = 60, 45, 25, 40, 30
# Per round in turn, in seconds: how long after the hook of its server began a sentinel is stopped (None: before that), and how long its pod
# is away; after DOWN_AFTER it counts as down.
SENTINEL_STOPS, ABSENCES = [None, 0.1, None, 0.5, None, 1, 0], [0, 0, 7]
# In every fourth round, the third first, one sentinel can resolve no names for this number of seconds: it keeps the former master, and has
# to start again.
BLIND_ROUND, BLINDNESS = 4, 3


class Failed(Exception):
    pass


class Connection:
    """A connection of RESP2: an error is raised as Failed, the end of the connection as OSError."""

    def __init__(self, address, timeout=2):
        self.socket = socket.create_connection(address, timeout=timeout)
        self.file = self.socket.makefile("rb")
        self.call("AUTH", PASSWORD)

    def call(self, *words):
        parts = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("the connection has ended")
        kind, text = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise Failed(text)
        if kind == b"+":
            return text
        if kind == b":":
            return int(text)
        length = int(text)
        if length < 0:
            return None
        if kind == b"*":
            return [self.reply() for _ in range(length)]
        return self.file.read(length + 2)[:-2].decode()

    def close(self):
        self.file.close()
        self.socket.close()


def ask(address, *words):
    connection = Connection(address)
    try:
        return connection.call(*words)
    finally:
        connection.close()


class Group:
    def __init__(self, folder, server, script):
        self.folder, self.script = folder, script
        self.processes, self.addresses, self.count = Processes(folder), {}, 0
        self.ports = {"server": free_port(), "sentinel": free_port()}
        (folder / "bin").mkdir()
        # A pod's processes listen on its own address alone.
        self.program("valkey-server", f'{server} "$@" --bind "$POD_ADDRESS"')
        self.program("valkey-cli", f'{shutil.which("redis-cli")} "$@"')
        (folder / "password").write_text(PASSWORD)
        (folder / "redis.conf").write_text(CONFIGURATION)

    def program(self, name, command):
        file = self.folder / "bin" / name
        file.write_text(f"#!/bin/sh\nexec {command}\n")
        file.chmod(0o755)

    def resolve(self, blind=None):
        """Lets every process resolve the names of the pods that exist, and the blind one none."""
        for process in (f"{kind}-{pod}" for kind in ("server", "sentinel", "leave") for pod in range(3)):
            new = self.folder / "hosts.new"
            known = {} if process == blind else self.addresses
            new.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {NAMES[pod]}\n" for pod, address in known.items()))
            new.replace(self.folder / f"hosts-{process}")

    def run(self, pod, name, *arguments):
        data = self.folder / f"data-{pod}"
        data.mkdir(exist_ok=True)
        self.processes.start(f"{name}-{pod}", ["sh", self.script, *arguments], {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "POD_ADDRESS": self.addresses[pod],
            "LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_HOSTS": str(self.folder / f"hosts-{name}-{pod}"),
            "RES_OPTIONS": "timeout:1 attempts:1",
            "SELF": f"{NAMES[pod]}:{self.ports['server']}",
            "PEERS": " ".join(f"{name}:{self.ports['server']}" for name in NAMES),
            "SENTINELS": " ".join(f"{name}:{self.ports['sentinel']}" for name in NAMES),
            "MASTER_NAME": MASTER_NAME, "QUORUM": "2", "DOWN_AFTER": "5000", "FAILOVER_TIMEOUT": "30000",
            "DATA": str(data), "CONFIG": str(self.folder / "redis.conf"), "PASSWORD_FILE": str(self.folder / "password")})

    def start(self, pod):
        self.count += 1
        self.addresses[pod] = f"127.77.{self.count // 250}.{self.count % 250 + 1}"
        self.resolve()
        self.run(pod, "server", "server")
        self.start_sentinel(pod)

    def start_sentinel(self, pod):
        self.run(pod, "sentinel", "sentinel", str(self.ports["sentinel"]))

    def revive(self):
        """Starts sentinels that have ended by themselves, as Kubernetes does with containers."""
        for pod in self.addresses:
            if (process := self.processes.running.get(f"sentinel-{pod}")) and process.poll() is not None:
                self.start_sentinel(pod)

    def end(self, name, signal=True):
        """Stops a process, or waits for its own end."""
        process, deadline = self.processes.running[name], time.monotonic() + END
        if signal:
            process.terminate()
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise Failed(f"{name} has not ended within {END} s; Kubernetes would kill it")
            time.sleep(0.02)
            if not signal:
                self.revive()
        del self.processes.running[name]

    def delete(self, pod, sentinel_stop):
        """A planned stop: the sentinel is stopped while the hook of the server runs, the server after that."""
        if sentinel_stop is None:
            self.end(f"sentinel-{pod}")
        self.run(pod, "leave", "leave")
        if sentinel_stop is not None:
            time.sleep(sentinel_stop)
            self.end(f"sentinel-{pod}")
        self.end(f"leave-{pod}", signal=False)
        self.end(f"server-{pod}")
        del self.addresses[pod]
        self.resolve()

    def address(self, pod, kind):
        return self.addresses[pod], self.ports[kind]

    def view(self, pod):
        """The epoch and the master as the pod's sentinel gives them to clients; None if it does not answer."""
        try:
            state = ask(self.address(pod, "sentinel"), "SENTINEL", "MASTER", MASTER_NAME)
            found = ask(self.address(pod, "sentinel"), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME)
        except (OSError, Failed, KeyError):
            return None
        return int(dict(zip(state[::2], state[1::2]))["config-epoch"]), found[0]

    def master(self):
        """The pod that is the master in the newest view."""
        views = [view for pod in list(self.addresses) if (view := self.view(pod))]
        return NAMES.index(max(views)[1]) if views else None

    def serves(self):
        """The master, if every sentinel answers and names it, whatever it knows of the others, and both replicas follow it."""
        masters = {view and view[1] for view in map(self.view, range(3))}
        if len(masters) != 1 or None in masters:
            return None
        master = NAMES.index(masters.pop())
        try:
            roles = [ask(self.address(pod, "server"), "ROLE")[0] for pod in range(3)]
            followed = ask(self.address(master, "server"), "INFO", "replication").count("state=online") == 2
        except (OSError, Failed):
            return None
        return master if followed and [role == "master" for role in roles] == [pod == master for pod in range(3)] else None

    def whole(self):
        """The master, if all sentinels also know each other, and agree on the epoch."""
        master = self.serves()
        if master is None or len({self.view(pod) for pod in range(3)}) != 1:
            return None
        try:
            states = [ask(self.address(pod, "sentinel"), "INFO", "sentinel") for pod in range(3)]
        except (OSError, Failed):
            return None
        return master if all("status=ok" in state and "slaves=2,sentinels=3" in state for state in states) else None

    def wait_until(self, condition):
        deadline = time.monotonic() + WHOLE
        while time.monotonic() < deadline:
            if (master := condition()) is not None:
                return master
            self.revive()
            time.sleep(0.05)
        raise Failed(f"the group is not whole after {WHOLE} s: {[self.view(pod) for pod in range(3)]}")


class Writer(threading.Thread):
    """Writes as fast as one connection answers, to the master that the sentinels name, and remembers what was acknowledged."""

    def __init__(self, group):
        super().__init__()
        self.group, self.acknowledged, self.longest, self.ended = group, [], 0, threading.Event()

    def run(self):
        number, connection, last = 0, None, time.monotonic()
        while not self.ended.is_set():
            number += 1
            try:
                if connection is None:
                    connection = Connection(self.group.address(self.group.master(), "server"), timeout=6)
                connection.call("SET", f"write:{number}", "1")
            except (OSError, Failed, KeyError, TypeError):
                # Not acknowledged: perhaps it is there, perhaps not.
                if connection:
                    connection.close()
                connection = None
                self.ended.wait(0.02)
                continue
            self.acknowledged.append(number)
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now
            self.ended.wait(0.001)


def lost_writes(address, numbers):
    connection = Connection(address, timeout=10)
    lost = []
    for begin in range(0, len(numbers), 500):
        part = numbers[begin:begin + 500]
        found = connection.call("MGET", *[f"write:{number}" for number in part])
        lost += [number for number, value in zip(part, found) if value is None]
    connection.close()
    return lost


def play(group, rounds):
    """The number of acknowledged writes, the longest stop, the longest one with a blind sentinel, and the longest time without a write."""
    for pod in range(3):
        group.start(pod)
    master = group.wait_until(group.whole)
    writer = Writer(group)
    writer.start()
    longest = {False: 0, True: 0}
    try:
        for number in range(rounds):
            began, is_blind = time.monotonic(), number % BLIND_ROUND == BLIND_ROUND - 2
            if is_blind:
                # Not the one that is asked for the failover, the first.
                group.resolve(blind=f"sentinel-{max({0, 1, 2} - {master})}")
                threading.Timer(BLINDNESS, group.resolve).start()
            group.delete(master, SENTINEL_STOPS[number % len(SENTINEL_STOPS)])
            longest[is_blind] = max(longest[is_blind], time.monotonic() - began)
            others = [pod for pod in range(3) if pod != master]
            if is_blind:
                # It may be starting again.
                group.wait_until(lambda: len(set(map(group.view, others))) == 1 or None)
            views = [group.view(pod) for pod in others]
            if views[0] != views[1] or views[0] is None or views[0][1] == NAMES[master]:
                raise Failed(f"round {number + 1}: after the stop of {NAMES[master]} the others see {views}")
            time.sleep(ABSENCES[number % len(ABSENCES)])
            group.start(master)
            # The next master is stopped before the sentinel that is back has heard from the others.
            master = group.wait_until(group.serves)
        master = group.wait_until(group.whole)
    finally:
        writer.ended.set()
        writer.join()
    if lost := lost_writes(group.address(master, "server"), writer.acknowledged):
        raise Failed(f"{len(lost)} of {len(writer.acknowledged)} acknowledged writes are lost, the first is write {lost[0]}")
    if longest[False] > STOP or longest[True] > BLIND_STOP or writer.longest > WITHOUT_WRITES:
        raise Failed(f"a stop took {longest[False]:.1f} s, at most {STOP}, and one with a sentinel without names {longest[True]:.1f} s, at "
                     f"most {BLIND_STOP}; {writer.longest:.1f} s went without a write, at most {WITHOUT_WRITES}")
    return len(writer.acknowledged), longest[False], longest[True], writer.longest


def main():
    server, rounds = sys.argv[1], int(sys.argv[2])
    script = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else SCRIPT).resolve()
    version = " ".join(subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout.split()[:3])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="redis-group-"))
    group = Group(folder, server, script)
    try:
        writes, stop, blind_stop, pause = play(group, rounds)
    except Failed as error:
        sys.exit(f"error: {version}: {error}; the logs are in {folder}")
    finally:
        group.processes.stop()
    shutil.rmtree(folder)
    print(f"{version}: {rounds} planned stops of the master, each at most {stop:.1f} s, with a sentinel that resolves no names "
          f"at most {blind_stop:.1f} s; all sentinels agreed after each; none of {writes} acknowledged writes lost; at most {pause:.1f} s "
          "without a write")


main()
