#!/usr/bin/env python3
"""Measures the cost of hostile clients for a node: its memory, its processor time, and the latency of its probes.

Starts a parallaxd on a free port and prints one line per attack:
  - pipelining: 100,000 requests for /metrics on one connection whose answers nobody reads;
  - nesting: heartbeats of agents that are not registered, with objects nested 490 deep, on three connections;
  - no descriptor left: more connections than the limit of open files allows;
  - leader: the heartbeats of nesting, and requests that are nested as deep, at the leader of two nodes on Redis, while it executes; the
    terms before and after tell whether it lost its lease. Needs redis-server.
Usage: Benchmarks/hostile_clients.py FOLDER OF parallaxd [ATTACK…]
"""
import base64
import http.client
import json
import os
import re
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request


class Node:
    def __init__(self, folder, files=None, settings=None):
        self.home = tempfile.TemporaryDirectory()
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        self.log = open(os.path.join(self.home.name, "log"), "w+")
        with open(os.path.join(self.home.name, "parallax.config.yaml"), "w") as configuration:
            configuration.write("agents: { maxMessagesPerSecond: 100000 }")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARALLAX_")}
        self.process = subprocess.Popen(
            [os.path.join(folder, "parallaxd")], cwd=self.home.name, env=environment | {"PARALLAX_PORT": "0"} | (settings or {}),
            stdout=self.log, stderr=subprocess.STDOUT, preexec_fn=limit)
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", self.text())):
            if self.process.poll() is not None:
                sys.exit(self.text())
            time.sleep(0.05)
        self.port = int(found.group(1))

    def text(self):
        with open(self.log.name) as log:
            return log.read()

    def megabytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port))

    def probe(self):
        start = time.monotonic()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/live", timeout=60) as answer:
                answer.read()
        except TimeoutError:
            pass  # The minute counts.
        return (time.monotonic() - start) * 1000

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        with connection.getresponse() as response:
            answer = response.status, response.read()
        connection.close()
        return answer

    def web_socket(self):
        agent = self.connect()
        key = base64.b64encode(os.urandom(16)).decode()
        agent.sendall(
            f"GET /ws/agent HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += agent.recv(1)
        return agent

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Watch:
    """Asks the liveness probe every 20 ms while the body runs."""

    def __init__(self, node):
        self.node, self.times, self.over = node, [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.wait(0.02):
            self.times.append(self.node.probe())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def pipelining(folder):
    node = Node(folder)
    before = node.megabytes()
    attacker = node.connect()
    request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    attacker.setblocking(False)
    rest = memoryview(request * 100_000)
    with Watch(node) as watch:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                rest = rest[attacker.send(rest):] if rest else rest
            except BlockingIOError:
                pass
            time.sleep(0.01)
    print(
        f"pipelining: {(len(request) * 100_000 - len(rest)) // len(request)} of 100000 requests taken, "
        f"{before:.0f} to {node.megabytes():.0f} MB, longest probe {max(watch.times):.0f} ms")
    attacker.close()
    node.stop()


def frame(payload):
    header = struct.pack("!BBH", 0x81, 0x80 | 126, len(payload)) if len(payload) < 65536 else struct.pack("!BBQ", 0x81, 0xFF, len(payload))
    return header + b"\0\0\0\0" + payload


NESTED = b'{"abc":' * 490 + b"1" + b"}" * 490
HEARTBEAT = frame(b'{"type":"heartbeat","payload":{"metrics":' + NESTED + b"}}")


def nesting(folder):
    node = Node(folder)
    agents = [node.web_socket() for _ in range(3)]
    message = HEARTBEAT
    before = node.processor_seconds()
    with Watch(node) as watch:
        for _ in range(20):
            for agent in agents:
                agent.sendall(message)
            time.sleep(0.1)
    print(
        f"nesting: 60 heartbeats of {len(message)} bytes, {node.processor_seconds() - before:.2f} s of processor time, "
        f"{len(watch.times)} probes, longest {max(watch.times):.0f} ms")
    node.stop()


def descriptors(folder):
    node = Node(folder, files=64)
    others = [node.connect() for _ in range(80)]
    time.sleep(0.5)
    before = node.processor_seconds()
    time.sleep(3)
    used = node.processor_seconds() - before
    words = len(re.findall("accepting no connection", node.text()))
    for other in others:
        other.close()
    print(f"no descriptor left: {used:.2f} s of processor time in 3 s, {words} warnings, then a probe in {node.probe():.0f} ms")
    node.stop()


def term(node):
    status = json.loads(node.request("GET", "/ha/status")[1])
    return status["term"], status["leader"]


def work(node):
    """An agent that answers each task."""
    agent = node.web_socket()
    agent.sendall(frame(b'{"type":"register","payload":{"capabilities":["bench"],"config":{"maxConcurrentTasks":100}}}'.ljust(126)))
    stream = agent.makefile("rb")
    try:
        while header := stream.read(2):
            size = header[1]
            if size > 125:
                size = int.from_bytes(stream.read(2 if size == 126 else 8), "big")
            text = stream.read(size)
            if header[0] == 0x81 and (message := json.loads(text))["type"] == "task":
                ids = {name: message["payload"][name] for name in ("taskId", "executionId")}
                agent.sendall(frame(json.dumps({"type": "task_result", "payload": {**ids, "result": {}}}).encode().ljust(126)))
    except OSError:
        pass  # The node has stopped.


def attack_with(over, attempt):
    """Repeats a hostile act on threads of its own, three at once."""
    def repeat():
        while not over.wait(0.1):
            try:
                attempt()
            except OSError:
                pass  # Refused, which is what a node may do.

    threads = [threading.Thread(target=repeat) for _ in range(3)]
    for thread in threads:
        thread.start()
    return threads


def leader(folder):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    redis = subprocess.Popen(["redis-server", "--port", str(port), "--save", ""], stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    settings = {"PARALLAX_HA_ENABLED": "true", "PARALLAX_REDIS_URL": f"redis://127.0.0.1:{port}"}
    nodes = [Node(folder, settings=settings | {"PARALLAX_NODE_ID": name}) for name in ("first", "second")]
    while term(nodes[0])[1] != "first":
        time.sleep(0.1)
    node = nodes[0]
    pattern = {"name": "bench", "agents": {"capabilities": ["bench"]}, "aggregation": {"strategy": "first"}, "timeout": "30s"}
    node.request("POST", "/api/patterns", json.dumps(pattern))
    threading.Thread(target=work, args=(node,), daemon=True).start()
    before, over, done = term(node), threading.Event(), []

    def load():
        while not over.is_set():
            try:
                done.append(node.request("POST", "/api/patterns/bench/execute", '{"input":{}}')[0])
            except TimeoutError:
                done.append("no answer")

    def heartbeat():
        agent = node.web_socket()
        agent.sendall(HEARTBEAT)
        agent.recv(4096)
        agent.close()

    time.sleep(1)
    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    with Watch(node) as watch:
        threads += attack_with(over, heartbeat)
        threads += attack_with(over, lambda: node.request("POST", "/api/patterns/bench/execute", b'{"input":' + NESTED + b"}"))
        time.sleep(30)
        over.set()
        for thread in threads:
            thread.join()
    after, times = term(node), sorted(watch.times)
    statuses = ", ".join(f"{done.count(status)} with {status}" for status in sorted(set(done), key=str))
    print(
        f"leader: executions in 30 s: {statuses}; {before[1]} led in term {before[0]} before, {after[1]} in term {after[0]} after; "
        f"{len(times)} probes, 99 % within {times[len(times) * 99 // 100]:.0f} ms, longest {times[-1]:.0f} ms")
    for other in nodes:
        other.stop()
    redis.terminate()
    redis.wait()


ATTACKS = {"pipelining": pipelining, "nesting": nesting, "descriptors": descriptors, "leader": leader}
if len(sys.argv) < 2 or not set(sys.argv[2:]) <= ATTACKS.keys():
    sys.exit(__doc__)
for name in sys.argv[2:] or ATTACKS:
    ATTACKS[name](sys.argv[1])
