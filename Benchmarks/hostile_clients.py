#!/usr/bin/env python3
"""Measures the cost of hostile clients for a node: its memory, its processor time, and the latency of its probes.

Starts a parallaxd on a free port and prints one line per attack:
  - pipelining: 100,000 requests for /metrics on one connection whose answers nobody reads;
  - nesting: heartbeats of agents that are not registered, with arrays nested 4,000 deep, on three connections;
  - no descriptor left: more connections than the limit of open files allows.
Usage: Benchmarks/hostile_clients.py FOLDER OF parallaxd
"""
import base64
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
    def __init__(self, folder, files=None):
        self.home = tempfile.TemporaryDirectory()
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        self.log = open(os.path.join(self.home.name, "log"), "w+")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARALLAX_")}
        self.process = subprocess.Popen(
            [os.path.join(folder, "parallaxd")], cwd=self.home.name, env=environment | {"PARALLAX_PORT": "0"},
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
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/live", timeout=60) as answer:
            answer.read()
        return (time.monotonic() - start) * 1000

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
        f"pipelining: {(len(request) * 100_000 - len(rest)) // len(request)} of 100000 requests taken, {before:.0f} to {node.megabytes():.0f} MB, "
        f"longest probe {max(watch.times):.0f} ms")
    attacker.close()
    node.stop()


def frame(payload):
    header = struct.pack("!BBH", 0x81, 0x80 | 126, len(payload)) if len(payload) < 65536 else struct.pack("!BBQ", 0x81, 0xFF, len(payload))
    return header + b"\0\0\0\0" + payload


def nesting(folder):
    node = Node(folder)
    agents = []
    for _ in range(3):
        agent = node.connect()
        key = base64.b64encode(os.urandom(16)).decode()
        agent.sendall(
            f"GET /ws/agent HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode())
        agent.recv(4096)
        agents.append(agent)
    message = frame(b'{"type":"heartbeat","payload":{"metrics":' + b"[" * 4000 + b"]" * 4000 + b"}}")
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


if len(sys.argv) != 2:
    sys.exit(__doc__)
for attack in (pipelining, nesting, descriptors):
    attack(sys.argv[1])
