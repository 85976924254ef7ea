#!/usr/bin/env python3
"""A cluster to watch: Redis, three nodes, three agents and a load on free ports of this machine; the leader is killed and returns.

Usage: demo.py FOLDER_OF_EXECUTABLES. Needs redis-server and the Python package websockets. Stops everything that it started.
"""
import http.client, itertools, os, pathlib, secrets, signal, subprocess, sys, tempfile, threading, time, uuid

from processes import Processes, free_port, ha_status, request, wait_until_whole

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARIES = pathlib.Path(sys.argv[1]).resolve()
NODES, CALLERS = 3, 8
KEY = "plx_" + secrets.token_hex(32)  # of all nodes; it may do everything
PATTERN = {
    "name": "demo", "agents": {"capabilities": ["analysis"]}, "aggregation": {"strategy": "first"}, "timeout": "60s", "retries": 3,
}


class Load:
    """Callers that wait for each result; after a lost node they repeat the request with the same key at the next node."""

    def __init__(self, ports):
        self.ports, self.lock, self.stopped = ports, threading.Lock(), threading.Event()
        self.executions, self.repeated, self.failed, self.slowest = [], 0, [], 0.0
        self.threads = [threading.Thread(target=self.call, args=(caller,)) for caller in range(CALLERS)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def call(self, caller):
        for number in itertools.count():
            if self.stopped.is_set():
                return
            body = {"input": {"text": f"{caller} {number}"}, "options": {"idempotencyKey": str(uuid.uuid4())}}
            began, outcome = time.monotonic(), None
            for attempt in range(50):
                port = self.ports[(caller + number + attempt) % len(self.ports)]
                try:
                    status, outcome = request(port, "POST", "/api/patterns/demo/execute", body, key=KEY)
                except (OSError, http.client.HTTPException):
                    status = None
                if status == 200:
                    break
                with self.lock:
                    self.repeated += 1
                time.sleep(0.05)
            with self.lock:
                self.slowest = max(self.slowest, time.monotonic() - began)
                if status == 200 and outcome["status"] == "completed":
                    self.executions.append(outcome["executionId"])
                else:
                    self.failed.append((status, outcome))


class Demo:
    def __init__(self, processes):
        self.processes = processes
        self.redis_port, self.ports = free_port(), [free_port() for _ in range(NODES)]
        self.load = Load(self.ports)

    def start_node(self, index):
        self.processes.start(f"node-{index}", [BINARIES / "parallaxd"], {
            "PARALLAX_HA_ENABLED": "true", "PARALLAX_HA_CLUSTER_ID": "demo", "PARALLAX_HA_LEASE_DURATION": "3s",
            "PARALLAX_HA_CHECK_INTERVAL": "1s", "PARALLAX_NODE_ID": f"node-{index}", "PARALLAX_PORT": str(self.ports[index]),
            "PARALLAX_API_KEYS": KEY,
            "PARALLAX_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}"})

    def start(self):
        self.processes.start("redis", ["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--appendonly", "yes"])
        for index in range(NODES):
            self.start_node(index)
        for index in range(NODES):
            urls = [f"ws://127.0.0.1:{self.ports[(index + turn) % NODES]}/ws/agent" for turn in range(NODES)]
            self.processes.start(f"agent-{index}", [
                sys.executable, ROOT / "Examples/python-agent/agent.py", "--id", f"agent-{index}", "--capability", "analysis",
                "--delay", "0.02", *itertools.chain.from_iterable(("--url", url) for url in urls)],
                {"PARALLAX_API_KEY": KEY})

    def show(self, index):
        command = [BINARIES / "parallax", "ha", "status", "--server", f"127.0.0.1:{self.ports[index]}"]
        subprocess.run(command, env={**os.environ, "PARALLAX_API_KEY": KEY}, check=False)
        print()

    def watch(self, seconds, note=""):
        for _ in range(seconds):
            before = len(self.load.executions)
            time.sleep(1)
            print(f"  {len(self.load.executions) - before:5} executions/s {note}", flush=True)

    def kill_leader(self, leader):
        others = [index for index in range(NODES) if index != leader]
        print(f"kill -9 node-{leader}, which leads\n", flush=True)
        killed = time.monotonic()
        self.processes.kill(f"node-{leader}")
        found, before, tick = None, len(self.load.executions), killed
        while time.monotonic() - killed < 6 or found is None:
            status = ha_status(self.ports[others[0]])
            if found is None and status and status["leader"] not in (None, f"node-{leader}"):
                found = time.monotonic() - killed
                print(f"  {status['leader']} leads, {found:.2f} s after the kill (lease 3 s)", flush=True)
            if time.monotonic() - tick >= 1:
                tick, count = tick + 1, len(self.load.executions)
                print(f"  {count - before:5} executions/s", flush=True)
                before = count
            time.sleep(0.01)
        print()
        self.show(others[0])

    def run(self):
        print(f"Redis on port {self.redis_port}, nodes on {', '.join(map(str, self.ports))}; their logs are in {self.processes.folder}\n")
        self.start()
        leader = wait_until_whole(self.ports)
        assert request(self.ports[0], "POST", "/api/patterns", PATTERN, key=KEY)[0] == 201
        self.show(leader)
        print(f"{CALLERS} callers, each waiting for its results:\n", flush=True)
        self.load.start()
        self.watch(3)
        self.kill_leader(leader)
        print(f"node-{leader} comes back\n", flush=True)
        self.start_node(leader)
        self.watch(3)
        wait_until_whole(self.ports)
        print()
        self.show(leader)
        self.load.stop()
        return self.sum_up()

    def sum_up(self):
        load, alive = self.load, self.ports[0]
        twice = len(load.executions) - len(set(load.executions))
        print(f"{len(load.executions)} executions completed, {twice} of them twice, {len(load.failed)} failed; "
              f"{load.repeated} requests were repeated at another node; the slowest took {load.slowest:.2f} s")
        total = request(alive, "GET", "/api/executions?limit=1", key=KEY)[1]["total"]
        print(f"the store has {total} executions")
        return 0 if not load.failed and not twice and total == len(load.executions) else 1


def main():
    with tempfile.TemporaryDirectory(prefix="parallax-demo-") as folder:
        processes = Processes(pathlib.Path(folder))
        demo = Demo(processes)
        # SIGTERM must also stop the started processes.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            return demo.run()
        finally:
            demo.load.stopped.set()
            processes.stop()


if __name__ == "__main__":
    sys.exit(main())
