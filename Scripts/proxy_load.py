"""Agents and callers behind a proxy, with the failures that they see."""
import asyncio, collections, dataclasses, http.client, itertools, json, random, threading, time, uuid

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from proxies import HOST

PATTERN = {
    "name": "proxied", "agents": {"capabilities": ["analysis"]}, "aggregation": {"strategy": "first"}, "timeout": "2m", "retries": 3,
}


@dataclasses.dataclass
class Ended:
    """How a connection of a registered agent ended."""
    at: float
    code: int
    was_told: bool  # `reconnect` came before
    closed_itself: bool


class Agent:
    """Follows the protocol: keeps results until they are acknowledged, disconnects on `reconnect`, reconnects with full jitter.

    A deaf one does not leave when it is told to.
    """

    def __init__(self, port, name, is_deaf):
        self.port, self.name, self.is_deaf = port, name, is_deaf
        self.running, self.unacknowledged = {}, {}
        self.socket, self.registered = None, []  # when it was registered
        self.endings, self.tasks, self.failures = [], [], []

    async def send(self, kind, payload):
        try:
            if self.socket:
                await self.socket.send(json.dumps({"type": kind, "payload": payload}))
        except WebSocketException:
            pass  # sent again after the next registration

    async def perform(self, task):
        await asyncio.sleep(task["input"].get("delay", 0))
        answer = {"taskId": task["taskId"], "executionId": task["executionId"], "result": {"by": self.name}}
        self.unacknowledged[task["taskId"]] = answer
        del self.running[task["taskId"]]
        await self.send("task_result", answer)

    async def leave(self, socket, milliseconds):
        await asyncio.sleep(milliseconds / 1000)
        await socket.close()

    async def session(self, socket):
        await socket.send(json.dumps({"type": "register", "payload": {
            "capabilities": ["analysis"], "config": {"maxConcurrentTasks": 16}, "activeTasks": [*self.running, *self.unacknowledged]}}))
        self.was_told, self.closes = False, None
        async for text in socket:
            message = json.loads(text)
            kind, payload = message["type"], message["payload"]
            task = payload.get("taskId")
            if kind == "registered":
                self.registered.append(time.monotonic())
                self.socket = socket
                for answer in list(self.unacknowledged.values()):
                    await self.send("task_result", answer)
            elif kind == "task" and task in self.unacknowledged:
                await self.send("task_result", self.unacknowledged[task])
            elif kind == "task" and task not in self.running:
                self.tasks.append(time.monotonic())
                self.running[task] = asyncio.create_task(self.perform(payload))
            elif kind == "result_ack":
                self.unacknowledged.pop(task, None)
            elif kind == "task_cancelled" and task in self.running:
                self.running.pop(task).cancel()
                await self.send("task_cancelled_ack", {"taskId": task})
            elif kind == "reconnect":
                self.was_told = True
                if not self.is_deaf:
                    self.closes = asyncio.create_task(self.leave(socket, payload["afterMs"]))

    async def run(self):
        attempts = 0
        while True:
            try:
                async with connect(f"ws://{HOST}/ws/agent", host="127.0.0.1", port=self.port, ping_interval=None, compression=None,
                                   additional_headers={"X-Agent-Id": self.name}, open_timeout=5) as socket:
                    await self.session(socket)
            except (OSError, WebSocketException) as error:
                # Also of connections that had been made.
                self.failures.append((time.monotonic(), failure_of(error)))
            if self.socket:
                self.endings.append(Ended(time.monotonic(), self.socket.close_code, self.was_told, self.closes is not None))
                attempts, self.socket = 0, None
            await asyncio.sleep(random.uniform(0, min(30, 2**attempts)))
            attempts += 1

    def pauses(self, since, until):
        """Times without a registration that touch an interval."""
        starts = [ending.at for ending in self.endings]
        ends = self.registered[1:] + [time.monotonic()] * (len(starts) + 1 - len(self.registered))
        return [end - start for start, end in zip(starts, ends) if start < until and end > since]

    def idle(self, since, until):
        """The longest time without a new task."""
        instants = [since, *(at for at in self.tasks if since < at < until), until]
        return max(later - earlier for earlier, later in zip(instants, instants[1:]))


class Fleet(threading.Thread):
    def __init__(self, port, count, deaf=0):
        super().__init__(daemon=True)
        self.agents = [Agent(port, f"agent-{number}", number < deaf) for number in range(count)]
        self.loop = asyncio.new_event_loop()

    def run(self):
        asyncio.set_event_loop(self.loop)
        tasks = [self.loop.create_task(agent.run()) for agent in self.agents]
        self.loop.run_forever()
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    def wait_until_registered(self, limit=60):
        deadline = time.monotonic() + limit
        while any(agent.socket is None for agent in self.agents):
            if time.monotonic() > deadline:
                raise SystemExit(f"agents are not registered after {limit} s")
            time.sleep(0.05)

    def endings(self, since, until):
        return [ending for agent in self.agents for ending in agent.endings if since < ending.at < until]

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join()


@dataclasses.dataclass
class Call:
    phase: str
    kind: str
    seconds: float  # beside the agent's work
    failure: str = ""


def ask(connection, method, path, body=None):
    """One request by the public name; the status and the document."""
    text = json.dumps(body) if body is not None else None
    connection.request(method, path, text, {"Host": HOST, **({"Content-Type": "application/json"} if text else {})})
    response = connection.getresponse()
    data = response.read()
    document = json.loads(data) if data and "json" in response.getheader("Content-Type", "") else {}
    return response.status, document


def failure_of(error):
    if isinstance(error, InvalidStatus):
        return str(error.response.status_code)
    if isinstance(error, TimeoutError):
        return "time-out"
    return "reset" if isinstance(error, (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)) else type(error).__name__


class Load:
    """Callers on persistent connections: those with an idempotency key repeat failed requests under it; the others do not."""

    KINDS = ("waiting", "waiting, key", "async", "async, key", "read")

    def __init__(self, port, callers):
        self.port, self.phase, self.lock, self.stopped = port, "", threading.Lock(), threading.Event()
        self.calls, self.acknowledged, self.given_up = [], {}, 0
        self.threads = [threading.Thread(target=self.run_caller, args=(caller,), daemon=True) for caller in range(callers)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def run_caller(self, caller):
        connection, known = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20), None
        for number in itertools.count(caller):
            if self.stopped.is_set():
                return connection.close()
            kind = self.KINDS[number % len(self.KINDS)]
            options = {"idempotencyKey": str(uuid.uuid4())} if "key" in kind else {}
            # One in thirty takes long enough for a node to stop.
            body = {"input": {"delay": 2 if number % 30 == caller else 0.02}, "options": options}
            deadline = time.monotonic() + 30
            while True:
                if kind == "read":
                    answered = self.call(connection, kind, "GET", f"/api/executions/{known}" if known else "/ha/status", None)
                else:
                    query = "?async=true" if "async" in kind else ""
                    answered = self.call(connection, kind, "POST", f"/api/patterns/{PATTERN['name']}/execute{query}", body)
                    known = answered or known
                if answered or not options:
                    break
                if time.monotonic() > deadline:
                    with self.lock:
                        self.given_up += 1
                    break
                time.sleep(0.2)
            time.sleep(0.01)

    def call(self, connection, kind, method, path, body):
        phase, began, id = self.phase, time.monotonic(), None
        work = body["input"]["delay"] if body and not path.endswith("async=true") else 0
        try:
            status, document = ask(connection, method, path, body)
            failure = "" if status in (200, 202) and document.get("status") not in ("failed", "timed_out") else str(status)
            if failure and "error" in document:
                failure += " " + (document["error"] or {}).get("code", "")
            if not failure and method == "POST":
                id = document["executionId"]
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            failure = failure_of(error)
        with self.lock:
            self.calls.append(Call(phase, kind, time.monotonic() - began - work, failure))
            if id:
                self.acknowledged[id] = kind
        return id or (method == "GET" and not failure)

    def failures(self, phase):
        return collections.Counter(f"{call.kind}: {call.failure}" for call in self.calls if call.phase == phase and call.failure)

    def times(self, phase):
        """The time of calls without the agents' work, in ms: median, 99th percentile, maximum."""
        ordered = sorted(call.seconds * 1000 for call in self.calls if call.phase == phase and not call.failure)
        return [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.99, 1)] if ordered else [0, 0, 0]

    def not_ended(self, port, limit=60):
        """Acknowledged executions that have not ended, read from a node directly, and the number of completed ones."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        open_ids, completed, deadline = list(self.acknowledged), 0, time.monotonic() + limit
        while open_ids and time.monotonic() < deadline:
            left = []
            for id in open_ids:
                status, document = ask(connection, "GET", f"/api/executions/{id}")
                if status != 200 or document["status"] in ("pending", "running"):
                    left.append(id)
                else:
                    completed += document["status"] == "completed"
            open_ids = left
            if left:
                time.sleep(0.5)
        connection.close()
        return open_ids, completed
