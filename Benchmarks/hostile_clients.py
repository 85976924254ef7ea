#!/usr/bin/env python3
"""Measures the cost of hostile clients for a node: its memory, its processor time, and the latency of its probes.

Starts a parallaxd on a free port and prints one line per attack:
  - pipelining: 100,000 requests for /metrics on one connection whose answers nobody reads;
  - nesting: heartbeats of agents that are not registered, with objects nested 490 deep, on three connections;
  - no descriptor left: more connections than the limit of open files allows;
  - leader: the heartbeats of nesting, and requests that are nested as deep, at the leader of two nodes on Redis, while it executes; the
    terms before and after tell whether it lost its lease. Needs redis-server.
The others print a row of the table in docs/hostile-clients.md each: what became of the attackers, the node's memory, and the latency of a
caller beside them, which executes over a connection of its own with the help of an agent, without and with the attack:
  - slow heads, slow bodies: 500 connections that send a byte a second;
  - one-byte messages, pings, empty parts: a million frames of agents that do not register, 300,000 parts of one message;
  - silent peers: 300 connections that send nothing, and 100 registered agents that neither read nor answer;
  - long headers: a header of 1 MiB on 100 connections;
  - all descriptors: 200 connections to a node that may open 64 files.
Usage: Benchmarks/hostile_clients.py FOLDER OF parallaxd [ATTACK…]
"""
import base64
import http.client
import json
import os
import re
import resource
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request


class Node:
    def __init__(self, folder, files=None, settings=None, configuration="agents: { maxMessagesPerSecond: 100000 }"):
        self.home = tempfile.TemporaryDirectory()
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        self.log = open(os.path.join(self.home.name, "log"), "w+")
        with open(os.path.join(self.home.name, "parallax.config.yaml"), "w") as file:
            file.write(configuration)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARALLAX_")}
        self.process = subprocess.Popen(
            [os.path.join(os.path.abspath(folder), "parallaxd")], cwd=self.home.name, env=environment | {"PARALLAX_PORT": "0"} | (settings or {}),
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


class Beside:
    """Calls `ask` every 20 ms while the body runs, and keeps the milliseconds that it returns."""

    def __init__(self):
        self.times, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.wait(0.02):
            self.times.append(self.ask())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


class Watch(Beside):
    """Asks the liveness probe."""

    def __init__(self, node):
        super().__init__()
        self.ask = node.probe


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


class Neighbor(Beside):
    """Executes over one connection."""

    def __init__(self, node):
        super().__init__()
        self.faults = 0
        self.connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)
        self.connection.connect()

    def ask(self):
        start = time.monotonic()
        try:
            self.connection.request("POST", "/api/patterns/bench/execute", '{"input":{}}', {"Content-Type": "application/json"})
            with self.connection.getresponse() as response:
                response.read()
                self.faults += response.status != 200
        except OSError:
            self.faults += 1
        return (time.monotonic() - start) * 1000

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        self.connection.close()

    def __str__(self):
        times = sorted(self.times)
        return f"{len(times)}, {self.faults} failed | {times[len(times) // 2]:.0f}, {times[len(times) * 99 // 100]:.0f}, {times[-1]:.0f} ms"


def beside(name, attack, files=None, configuration=""):
    """An attack with a row of the table."""
    def run(folder):
        node = Node(folder, files, configuration=configuration)
        pattern = {"name": "bench", "agents": {"capabilities": ["bench"]}, "aggregation": {"strategy": "first"}, "timeout": "60s"}
        node.request("POST", "/api/patterns", json.dumps(pattern))
        threading.Thread(target=work, args=(node,), daemon=True).start()
        with Neighbor(node) as calm:
            time.sleep(5)
        memory, used = node.megabytes(), node.processor_seconds()
        with Neighbor(node) as neighbor:
            start = time.monotonic()
            outcome = attack(node)
            lasted = time.monotonic() - start
        share = (node.processor_seconds() - used) / lasted * 100
        print(f"| {name} | {outcome} | {memory:.0f} to {node.megabytes():.0f} MB, {share:.0f} % | {calm} | {neighbor} |", flush=True)
        node.stop()
    return run


def ends(peers, act, limit=120):
    """Repeats an act on each connection every second until the node has ended them; says what it answered and when."""
    start, open_peers, found = time.monotonic(), set(peers), {}
    received = {peer: b"" for peer in peers}
    due = start + 1
    while open_peers and time.monotonic() < start + limit:
        for peer in select.select(open_peers, [], [], max(0, due - time.monotonic()))[0]:
            try:
                data = peer.recv(65536)
            except OSError:
                data = b""
            received[peer] += data
            if not data:
                status = re.match(rb"HTTP/1.1 (\d+)", received[peer])
                found.setdefault(f"answered with {status[1].decode()}" if status else "closed", []).append(time.monotonic() - start)
                open_peers.remove(peer)
        if time.monotonic() >= due:
            due += 1
            for peer in open_peers:
                try:
                    act(peer)
                except OSError:
                    pass  # Its end is read above.
    if open_peers:
        found[f"open after {limit} s"] = [float(limit)] * len(open_peers)
    for peer in peers:
        peer.close()
    return "; ".join(f"{len(times)} {end} after {min(times):.0f} to {max(times):.0f} s" for end, times in sorted(found.items()))


def drip(head):
    def attack(node):
        peers = [node.connect() for _ in range(500)]
        for peer in peers:
            peer.sendall(head)
        return ends(peers, lambda peer: peer.send(b"x"))
    return attack


def flood(frames):
    def attack(node):
        peer, answers = node.web_socket(), bytearray()

        def read():
            try:
                while data := peer.recv(65536):
                    answers.extend(data)
            except OSError:
                pass  # Reset.

        reader = threading.Thread(target=read)
        reader.start()
        start, sent = time.monotonic(), 0
        try:
            for offset in range(0, len(frames), 60_000):
                sent += peer.send(frames[offset:offset + 60_000])
        except OSError:
            pass  # What has been sent is counted.
        reader.join(30)
        lasted = time.monotonic() - start
        peer.close()
        close = re.search(rb"\x88.(\x03[\xe8-\xf7])([^\x00-\x1f]*)", bytes(answers), re.S)
        said = f"closed with {int.from_bytes(close[1])}, {close[2].decode()}" if close else "not closed by a frame"
        time.sleep(3)
        return f"{said}; {sent * 100 // len(frames)} % sent, ended after {lasted:.1f} s"
    return attack


def silence(node):
    def registered():
        agent = node.web_socket()
        agent.sendall(frame(b'{"type":"register","payload":{"capabilities":["other"]}}'.ljust(126)))
        return agent

    agents, peers = [registered() for _ in range(100)], [node.connect() for _ in range(300)]
    outcome, start = ends(peers, lambda peer: None), time.monotonic()
    while (left := json.loads(node.request("GET", "/api/agents")[1])["total"] - 1) and time.monotonic() < start + 60:
        time.sleep(0.5)
    for agent in agents:
        agent.close()
    return f"connections: {outcome}; agents: {100 - left} gone"


def long_headers(node):
    over = time.monotonic() + 5
    while True:
        peers = [node.connect() for _ in range(100)]
        for peer in peers:
            try:
                peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (1 << 20))
            except OSError:
                pass  # The answer is read below.
        outcome = ends(peers, lambda peer: None)
        if time.monotonic() > over:
            return f"again and again for 5 s: {outcome}"


def all_descriptors(node):
    others = [node.connect() for _ in range(200)]
    time.sleep(10)
    warnings = len(re.findall("accepting no connection", node.text()))
    for other in others:
        other.close()
    return f"none was accepted beyond the limit, {warnings} warning; after their end a probe took {node.probe():.0f} ms"


def client_frame(first, payload=b""):
    return bytes([first, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


BODY = (b"POST /api/patterns/bench/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000000\r\n\r\n")
QUICK = "agents: { heartbeatInterval: 5s, heartbeatTimeout: 15s }"
ATTACKS = {
    "pipelining": pipelining, "nesting": nesting, "descriptors": descriptors, "leader": leader,
    "slow-heads": beside("heads, a byte a second", drip(b"GET /api/agents HTTP/1.1\r\nHost: localhost\r\nX: ")),
    "slow-bodies": beside("bodies, a byte a second", drip(BODY)),
    "messages": beside("a million messages of a byte", flood(client_frame(0x81, b"1") * 1_000_000)),
    "pings": beside("a million pings", flood(client_frame(0x89) * 1_000_000)),
    "parts": beside("300,000 empty parts of a message", flood(client_frame(0x01) + client_frame(0x00) * 300_000)),
    "silence": beside("silent connections and agents", silence, configuration=QUICK),
    "long-headers": beside("a header of 1 MiB", long_headers),
    "all-descriptors": beside("all descriptors", all_descriptors, files=64),
}
if len(sys.argv) < 2 or not set(sys.argv[2:]) <= ATTACKS.keys():
    sys.exit(__doc__)
for name in sys.argv[2:] or ATTACKS:
    ATTACKS[name](sys.argv[1])
