#!/usr/bin/env python3
"""Measures what Redis and a node keep: for each execution by the size of its input, for each that waits, and for each connected agent.

Usage: sizing.py FOLDER_OF_EXECUTABLES [EXECUTIONS] [AGENTS]   (5000 and 500 by default)
Needs redis-server and the Python package websockets, as in .build/test-venv. One node on a Redis of its own, on free ports of this machine.
Bytes of Redis are the growth of used_memory, those of its file the growth of the append-only file, those of a node of its resident memory.
"""
import asyncio, http.client, json, pathlib, socket, sys, tempfile, threading, time

from websockets.asyncio.client import connect

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Scripts"))
from processes import Processes, free_port, request

BINARIES = pathlib.Path(sys.argv[1]).resolve()
EXECUTIONS = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
AGENTS = int(sys.argv[3]) if len(sys.argv) > 3 else 500
CALLERS = 8
PATTERN = {"name": "sizing", "agents": {"capabilities": ["sizing"]}, "aggregation": {"strategy": "first"}, "timeout": "1h"}


class Redis:
    def __init__(self, port):
        self.file = socket.create_connection(("127.0.0.1", port), 10).makefile("rwb")

    def info(self, section):
        self.file.write(f"INFO {section}\r\n".encode())
        self.file.flush()
        text = self.file.read(int(self.file.readline()[1:]) + 2).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def sizes(self):
        return int(self.info("memory")["used_memory"]), int(self.info("persistence")["aof_current_size"])


def resident(pid):
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def submit(port, count, size):
    """Submits executions from several callers on kept connections, and returns when all are acknowledged."""
    body = json.dumps({"input": {"text": "x" * size}})

    def call(share):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for _ in range(share):
            connection.request("POST", "/api/patterns/sizing/execute?async=true", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            if response.status != 202:
                raise SystemExit(f"{response.status} {answer}")
        connection.close()

    callers = [threading.Thread(target=call, args=(count // CALLERS,)) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return count // CALLERS * CALLERS


async def agent(port, number, works):
    """One agent; it answers each task with a result of some 50 bytes if it works; else it is given none."""
    async with connect(f"ws://127.0.0.1:{port}/ws/agent", additional_headers={"X-Agent-Id": f"sizing-{number}"}) as socket:
        await socket.send(json.dumps({"type": "register", "payload": {
            "capabilities": ["sizing" if works else "idle"], "config": {"maxConcurrentTasks": 64}, "activeTasks": []}}))
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "task":
                task = message["payload"]
                await socket.send(json.dumps({"type": "task_result", "payload": {
                    "taskId": task["taskId"], "executionId": task["executionId"], "result": {"category": "question", "confidence": 0.9}}}))


class Agents:
    """Agents on an event loop of their own thread."""

    def __init__(self):
        self.loop, self.tasks = asyncio.new_event_loop(), []
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def add(self, port, count, works):
        first = len(self.tasks)
        self.tasks += [asyncio.run_coroutine_threadsafe(agent(port, first + index, works), self.loop) for index in range(count)]

    def remove(self):
        for task in self.tasks:
            task.cancel()


def wait(what, condition, limit=300):
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not after {limit} s")
        time.sleep(0.1)
    time.sleep(2)  # what follows the last write


def active(port):
    """The number of executions that have not ended, from the node's metrics."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("parallax_executions_active "))


def main():
    with tempfile.TemporaryDirectory(prefix="parallax-sizing-") as folder:
        processes, agents = Processes(pathlib.Path(folder)), Agents()
        try:
            redis, port = free_port(), free_port()
            processes.start("redis", [
                "redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes",
                "--auto-aof-rewrite-percentage", "0"])
            time.sleep(0.5)
            # The one agent answers more often than 100 times a second.
            configuration = pathlib.Path(folder) / "sizing.yaml"
            configuration.write_text(f"redis: {{ url: 'redis://127.0.0.1:{redis}' }}\nagents: {{ maxMessagesPerSecond: 1000000 }}\n")
            processes.start("node", [BINARIES / "parallaxd", "--config", configuration, "--port", str(port), "--log-level", "warning"])
            server, node = Redis(redis), processes.running["node"].pid

            def ready():
                try:
                    return request(port, "GET", "/health/ready")[0] == 200
                except OSError:
                    return False

            wait("the node is ready", ready, 30)
            request(port, "POST", "/api/patterns", PATTERN)
            state = {"sizes": server.sizes(), "node": resident(node)}

            def report(what, count):
                sizes, memory = server.sizes(), resident(node)
                grown = [(new - old) / count for new, old in zip((*sizes, memory), (*state["sizes"], state["node"]))]
                print(f"{what:46}{grown[0]:10,.0f}{grown[1]:12,.0f}{grown[2]:12,.0f}", flush=True)
                state.update(sizes=sizes, node=memory)

            print(f"{'bytes each':46}{'Redis':>10}{'its file':>12}{'node':>12}")
            count = submit(port, EXECUTIONS, 100)
            time.sleep(2)
            report("an execution that waits, input of 100 bytes", count)
            agents.add(port, 1, True)
            wait("they have ended", lambda: active(port) == 0)
            report("its end, in addition", count)
            for size in (100, 1_000, 10_000):
                count = submit(port, EXECUTIONS, size)
                wait("they have ended", lambda: active(port) == 0)
                report(f"an ended execution, input of {size:,} bytes", count)
            agents.add(port, AGENTS, False)
            wait("the agents are there", lambda: request(port, "GET", "/api/agents?limit=1")[1]["total"] >= AGENTS + 1)
            report("a connected agent", AGENTS)
        finally:
            agents.remove()
            processes.stop()


if __name__ == "__main__":
    main()
