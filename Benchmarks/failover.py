#!/usr/bin/env python3
"""Measures the time without a leader of three nodes on Redis: handovers on request, on SIGTERM, and after kill -9, with and without witnesses.

Usage: failover.py FOLDER_OF_EXECUTABLES [ROUNDS_OF_HAND_OVERS [ROUNDS_OF_KILLS [KILLS_AT_15_S]]]   (100, 30 and 3 rounds by default)
Needs redis-server. Times are taken from the nodes' logs and the election record, all by the one wall clock of this machine.
"""
import datetime, http.client, json, pathlib, re, signal, subprocess, sys, tempfile, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Scripts"))
from processes import Processes, free_port, ha_status, request, wait_until_whole

BINARIES = pathlib.Path(sys.argv[1]).resolve()
HANDOVERS, KILLS, LONG_KILLS = [int(text) for text in sys.argv[2:5]] + [100, 30, 3][len(sys.argv[2:5]):]
NODES = 3


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Sampler(threading.Thread):
    """Asks all nodes every 10 ms whether they lead; see `overlaps`."""

    def __init__(self, ports):
        super().__init__(daemon=True)
        self.ports, self.ended, self.rounds, self.greatest = ports, threading.Event(), 0, 0
        self.last, self.spans = {}, []

    def run(self):
        while not self.ended.is_set():
            total, next_round = 0, time.monotonic() + 0.01
            for node, port in enumerate(self.ports):
                began = time.monotonic()
                term = self.term(port)
                if term:
                    total += 1
                    former = self.last.get(node)
                    # A lost term never returns: a node with the same term in two answers led all the time between them.
                    if former and former[0] == term:
                        self.spans.append((former[1], began, node))
                self.last[node] = (term, time.monotonic())
            self.rounds, self.greatest = self.rounds + 1, max(self.greatest, total)
            self.ended.wait(max(0, next_round - time.monotonic()))

    @staticmethod
    def term(port):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=0.5)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            connection.close()
        except OSError:
            return None
        if not re.search(r'parallax_ha_is_leader\{node="[^"]*"\} 1', text):
            return None
        return re.search(r"\nparallax_ha_term (\S+)", text).group(1)

    def overlaps(self):
        spans = sorted(self.spans)
        return sum(1 for (a, b) in zip(spans, spans[1:]) if a[2] != b[2] and b[0] < a[1])


class Cluster:
    def __init__(self, processes, lease, ports, name, witness="off"):
        self.processes, self.lease, self.ports, self.name, self.redis_port = processes, lease, ports, name, free_port()
        self.since_kill = []
        self.witness = witness
        processes.start(f"redis-{name}", ["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", ""])
        time.sleep(0.5)
        for index in range(NODES):
            self.start(index)
        wait_until_whole(self.ports)

    def start(self, index):
        self.processes.start(f"{self.name}-node-{index}", [BINARIES / "parallaxd"], {
            "PARALLAX_HA_ENABLED": "true", "PARALLAX_HA_LEASE_DURATION": f"{self.lease}s", "PARALLAX_HA_CHECK_INTERVAL": "500ms",
            "PARALLAX_HA_WITNESS": self.witness, "PARALLAX_LOG_LEVEL": "debug", "PARALLAX_NODE_ID": f"node-{index}", "PARALLAX_PORT": str(self.ports[index]),
            "PARALLAX_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}"})

    def record(self):
        text = subprocess.run(["redis-cli", "-p", str(self.redis_port), "GET", "parallax:ha:leader"], capture_output=True, check=True).stdout
        return json.loads(text)

    def first_duty(self, leader, since, limit=30):
        """The time at which a node other than the leader began its first duty after `since`."""
        log = self.processes.folder / f"{self.name}-node-{leader}.log"
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            for line in log.read_text(errors="replace").splitlines():
                if line.startswith("{") and '"looking for lost node sessions"' in line:
                    began = instant(json.loads(line)["time"])
                    # The log rounds to whole milliseconds.
                    if began >= since - 0.001:
                        return began
            time.sleep(0.01)
        raise SystemExit(f"node-{leader} did no duty; see {log}")

    def wait_for_other(self, leader, limit=60):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            for index in range(NODES):
                status = ha_status(self.ports[index]) if index != leader else None
                if status and status.get("leader") not in (None, f"node-{leader}"):
                    return int(status["leader"].rpartition("-")[2])
            time.sleep(0.005)
        raise SystemExit("no node took over")

    def step_down(self, leader):
        began = time.time()
        answer = request(self.ports[(leader + 1) % NODES], "POST", "/ha/stepdown", {})[1]
        return self.first_duty(int(answer["new"].rpartition("-")[2]), began) - began

    def terminate(self, leader):
        began = time.time()
        process = self.processes.running.pop(f"{self.name}-node-{leader}")
        process.send_signal(signal.SIGTERM)
        successor = self.wait_for_other(leader)
        took = self.first_duty(successor, began) - began
        assert process.wait(30) == 0, "a node did not exit with 0"
        self.start(leader)
        return took

    def kill(self, leader):
        """What the takeover took beyond the lease."""
        renewed, acquired = self.killed(leader)
        return acquired - renewed - self.lease

    def kill_witnessed(self, leader):
        """From the kill to the new leader's acquisition."""
        self.killed(leader)
        return self.since_kill[-1]

    def killed(self, leader):
        """Kills and restarts the leader; its last renewal and the next leader's acquisition."""
        began = time.time()
        self.processes.kill(f"{self.name}-node-{leader}")
        renewed = instant(self.record()["renewedAt"])
        self.wait_for_other(leader)
        acquired = instant(self.record()["acquiredAt"])
        self.since_kill.append(acquired - began)
        self.start(leader)
        return renewed, acquired


def show(title, seconds):
    ordered = sorted(second * 1000 for second in seconds)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
    print(f"{title:62} {len(ordered):4}  p50 {at(0.5):7.1f}  p99 {at(0.99):7.1f}  max {ordered[-1]:7.1f} ms", flush=True)


def measure(cluster, title, rounds, act):
    if rounds == 0:
        return
    sampler = Sampler(cluster.ports)
    sampler.start()
    times = []
    for _ in range(rounds):
        times.append(act(wait_until_whole(cluster.ports)))
    wait_until_whole(cluster.ports)
    sampler.ended.set()
    sampler.join()
    show(title, times)
    print(f"{'':4}two leaders at once: {sampler.overlaps()}, greatest sum of parallax_ha_is_leader: {sampler.greatest}; "
          f"{sampler.rounds} samples of all nodes", flush=True)


def main():
    with tempfile.TemporaryDirectory(prefix="parallax-failover-") as folder:
        processes = Processes(pathlib.Path(folder))
        try:
            cluster = Cluster(processes, 3, [free_port() for _ in range(NODES)], "handover")
            measure(cluster, "step down: from the request to the new leader's first duty", HANDOVERS, cluster.step_down)
            measure(cluster, "SIGTERM: from the signal to the new leader's first duty", HANDOVERS, cluster.terminate)
            processes.stop()
            processes.running.clear()
            cluster = Cluster(processes, 1, [free_port() for _ in range(NODES)], "short")
            measure(cluster, "kill -9, lease 1 s: takeover - last renewal - lease", KILLS, cluster.kill)
            show("    the same, from the kill to the takeover", cluster.since_kill)
            processes.stop()
            processes.running.clear()
            cluster = Cluster(processes, 15, [free_port() for _ in range(NODES)], "long")
            measure(cluster, "kill -9, lease 15 s: takeover - last renewal - lease", LONG_KILLS, cluster.kill)
            show("    the same, from the kill to the takeover", cluster.since_kill)
            for lease in (1, 15):
                processes.stop()
                processes.running.clear()
                cluster = Cluster(processes, lease, [free_port() for _ in range(NODES)], f"witnessed-{lease}", "auto")
                measure(cluster, f"kill -9 with a witness, lease {lease} s: from the kill to the takeover", KILLS, cluster.kill_witnessed)
        finally:
            processes.stop()


if __name__ == "__main__":
    main()
