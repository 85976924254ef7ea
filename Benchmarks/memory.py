#!/usr/bin/env python3
"""Measures what ended executions cost a node with its store in memory.

Usage: memory.py PARALLAXD [EXECUTIONS]   (200000 by default)
Prints the resident memory of the node before the first execution, at some numbers of executions, and what one that is kept costs. One agent
answers each task at once; callers do not wait. Several nodes given one after another are compared in one sitting.
"""
import base64, json, os, pathlib, socket, struct, sys, tempfile, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Scripts"))
from processes import Processes, free_port, request

PATTERN = {"name": "memory", "version": "1.0.0", "agents": {"capabilities": ["memory"]}, "aggregation": {"strategy": "first"}, "timeout": "300s"}
CALLERS, PIPELINE = 4, 64


class Agent(threading.Thread):
    """An agent on a plain socket."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.answered, self.input = 0, b""
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((
            f"GET /ws/agent HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nX-Agent-Id: memory\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.input:
            self.receive()
        self.input = self.input.split(b"\r\n\r\n", 1)[1]
        self.send([{"type": "register", "id": "1", "payload": {"capabilities": ["memory"], "config": {"maxConcurrentTasks": 1000}}}])
        while not any(frame.get("type") == "registered" for frame in self.frames()):
            pass

    def receive(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise SystemExit("the node has closed the agent's connection")
        self.input += data

    def send(self, messages, opcode=1):
        output = bytearray()
        for message in messages:
            payload = message if isinstance(message, bytes) else json.dumps(message).encode()
            size = len(payload)
            output += bytes([0x80 | opcode, 0x80 | size]) if size < 126 else struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
            # A mask of zeros leaves the payload as it is.
            output += b"\0\0\0\0" + payload
        self.socket.sendall(output)

    def frames(self):
        """The messages of at least one read."""
        self.receive()
        messages, place = [], 0
        while len(self.input) - place >= 2:
            size, head = self.input[place + 1] & 0x7F, 2
            if size == 126 and len(self.input) - place >= 4:
                size, head = struct.unpack_from("!H", self.input, place + 2)[0], 4
            elif size == 126:
                break
            if len(self.input) - place < head + size:
                break
            payload = self.input[place + head:place + head + size]
            if self.input[place] & 0xF == 9:
                self.send([payload], opcode=10)
            elif self.input[place] & 0xF == 1:
                messages.append(json.loads(payload))
            place += head + size
        self.input = self.input[place:]
        return messages

    def run(self):
        while True:
            tasks = [frame["payload"] for frame in self.frames() if frame["type"] == "task"]
            if tasks:
                self.send([{
                    "type": "task_result", "id": task["taskId"],
                    "payload": {"taskId": task["taskId"], "executionId": task["executionId"], "result": {"answer": "yes"}, "confidence": 0.9},
                } for task in tasks])
                self.answered += len(tasks)


def submit(port, count, failures):
    """Submits executions over one connection, and waits for the answers of each batch."""
    try:
        submit_all(port, count)
    except Exception as error:
        failures.append(error)


def submit_all(port, count):
    body = b'{"input":{"text":"Is it small?"}}'
    head = f"POST /api/patterns/memory/execute?async=true HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection = socket.create_connection(("127.0.0.1", port))
    done = 0
    while done < count:
        batch = min(PIPELINE, count - done)
        connection.sendall((head.encode() + body) * batch)
        answers = b""
        while answers.count(b"HTTP/1.1 ") < batch or not answers.endswith(b"}"):
            data = connection.recv(1 << 18)
            if not data:
                raise RuntimeError("the node has closed a caller's connection")
            answers += data
        if answers.count(b"HTTP/1.1 202") != batch:
            raise RuntimeError(answers[-400:].decode(errors="replace"))
        done += batch
    connection.close()


def resident(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def measure(daemon, total):
    with tempfile.TemporaryDirectory() as folder:
        processes, port = Processes(pathlib.Path(folder)), free_port()
        try:
            (pathlib.Path(folder) / "parallax.config.yaml").write_text("agents: { maxMessagesPerSecond: 1000000 }\n")
            processes.start("node", [daemon], {"PARALLAX_PORT": str(port), "PARALLAX_LOG_LEVEL": "warning"})
            deadline = time.monotonic() + 30
            while True:
                try:
                    if request(port, "GET", "/health/ready")[0] == 200:
                        break
                except OSError:
                    pass
                if time.monotonic() > deadline:
                    raise SystemExit(f"{daemon} does not become ready")
                time.sleep(0.05)
            assert request(port, "POST", "/api/patterns", PATTERN)[0] in (200, 201)
            agent = Agent(port)
            agent.start()
            pid = processes.running["node"].pid
            before = resident(pid)
            print(f"{daemon}\n  {'executions':>10}  {'kept':>7}  {'resident MB':>11}\n  {0:>10}  {0:>7}  {before / 1e6:>11.1f}", flush=True)
            done = 0
            for target in sorted({total // 20, total // 4, total // 2, total}):
                failures = []
                callers = [
                    threading.Thread(target=submit, args=(port, (target - done) // CALLERS, failures), daemon=True) for _ in range(CALLERS)]
                for caller in callers:
                    caller.start()
                for caller in callers:
                    caller.join()
                if failures:
                    raise SystemExit(f"a caller failed: {failures[0]}")
                done += (target - done) // CALLERS * CALLERS
                deadline = time.monotonic() + 60
                while agent.answered < done and time.monotonic() < deadline:
                    time.sleep(0.05)
                assert agent.answered == done, f"{agent.answered} of {done} executions were worked on"
                time.sleep(1)
                kept = request(port, "GET", "/api/executions?limit=1")[1]["total"]
                print(f"  {done:>10}  {kept:>7}  {resident(pid) / 1e6:>11.1f}", flush=True)
            print(f"  {(resident(pid) - before) / kept:.0f} bytes for each that is kept")
        finally:
            processes.stop()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    numbers = [word for word in sys.argv[1:] if word.isdigit()]
    for program in [word for word in sys.argv[1:] if not word.isdigit()]:
        measure(pathlib.Path(program).resolve(), int(numbers[0]) if numbers else 200_000)
