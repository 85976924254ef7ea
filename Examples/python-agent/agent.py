#!/usr/bin/env python3
"""A complete Parallax agent. It keeps each result until the control plane has recorded it, so a lost connection loses nothing."""
import argparse, asyncio, itertools, json, os, random, time, uuid
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException


def work(capability, data):
    """The capabilities of this agent; replace these samples by your own."""
    text = str(data.get("text", "")) if isinstance(data, dict) else str(data)
    if capability == "classification":
        return {"category": "question" if text.rstrip().endswith("?") else "statement", "confidence": 0.9}
    if capability == "analysis":
        return {"words": len(text.split()), "characters": len(text)}
    return {"answer": f"You said: {text}"}


class Agent:
    def __init__(self, options):
        self.options, self.socket = options, None  # the socket is set while this agent is registered
        self.process = uuid.uuid4().hex  # tells the node a lost connection from a process that has ended
        self.limit = 1 << 20  # the largest message that the node accepts, in bytes
        self.pause = 0  # the least seconds before the next connection
        self.running, self.unacknowledged = {}, {}  # by task id: work in progress, and answers that may have to be sent again

    async def send(self, socket, kind, payload, id=None):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        try:
            await socket.send(json.dumps({"type": kind, "id": id or str(uuid.uuid4()), "timestamp": now, "payload": payload}))
        except WebSocketException:
            pass  # the connection is lost: `run` opens the next one, and `session` sends unacknowledged answers again

    async def perform(self, task, id):
        ids, started = {"taskId": task["taskId"], "executionId": task["executionId"]}, time.monotonic()
        try:
            await asyncio.sleep(self.options.delay)
            if random.random() < self.options.fail_rate:
                raise RuntimeError("failed on purpose (--fail-rate)")
            result, duration = work(task["capability"], task["input"]), int((time.monotonic() - started) * 1000)
            answer = "task_result", {**ids, "status": "completed", "result": result, "duration": duration}, id
            if len(json.dumps(answer, allow_nan=False)) + 100 > self.limit:  # JSON has no NaN; 100 bytes are for the other members
                raise ValueError(f"the result is larger than the node accepts ({self.limit} bytes)")
        except Exception as error:
            answer = "task_error", {**ids, "error": {"code": "FAILED", "message": str(error)}, "retryable": True}, id
        self.unacknowledged[task["taskId"]] = answer
        del self.running[task["taskId"]]
        print(answer[0], task["taskId"], flush=True)
        if self.socket:
            await self.send(self.socket, *answer)

    async def heartbeat(self, socket, seconds):
        while True:
            await asyncio.sleep(seconds)
            await self.send(socket, "heartbeat", {"status": "busy" if self.running else "idle", "activeTasks": [*self.running]})

    async def session(self, socket):
        await self.send(socket, "register", {
            "capabilities": self.options.capability, "metadata": {"name": self.options.id}, "process": self.process,
            "config": {"maxConcurrentTasks": self.options.concurrency}, "activeTasks": [*self.running, *self.unacknowledged]})
        async for text in socket:
            message = json.loads(text)
            kind, payload = message["type"], message["payload"]
            task_id = payload.get("taskId")
            if kind == "registered":
                print("registered", payload["agentId"], flush=True)
                self.socket, self.limit = socket, payload["config"].get("maxMessageSize", self.limit)
                self.beat = asyncio.create_task(self.heartbeat(socket, payload["config"]["heartbeatInterval"] / 1000))
                for answer in list(self.unacknowledged.values()):
                    await self.send(socket, *answer)
            elif kind == "task" and task_id in self.unacknowledged:
                await self.send(socket, *self.unacknowledged[task_id])  # a repeated delivery gets the kept answer
            elif kind == "task" and task_id not in self.running:
                self.running[task_id] = asyncio.create_task(self.perform(payload, message["id"]))  # continues after a lost connection
            elif kind == "reconnect" and payload["reason"] == "drain":  # this node stops: connect to the next one before it does
                await asyncio.sleep(payload["afterMs"] / 1000)
                await socket.close()
            elif kind == "result_ack":
                self.unacknowledged.pop(task_id, None)
            elif kind == "task_cancelled" and task_id in self.running:
                self.running.pop(task_id).cancel()
                await self.send(socket, "task_cancelled_ack", {"taskId": task_id})  # frees the place in this agent's concurrency
            elif kind == "error":
                print("error", payload["code"], payload["message"], flush=True)
                if payload["code"] == "AGENT_ID_IN_USE":  # another process uses this agent's id, and keeps it
                    self.pause = 30
                refused = message.get("id")  # the node would refuse the same answer again
                self.unacknowledged = {task: answer for task, answer in self.unacknowledged.items() if answer[2] != refused}

    async def run(self):
        headers = {"X-Agent-Id": self.options.id}  # the same at each connection, so that the node finds the agent's running tasks
        if "PARALLAX_API_KEY" in os.environ:
            headers["Authorization"] = "Bearer " + os.environ["PARALLAX_API_KEY"]
        attempts, urls = 0, itertools.cycle(self.options.url or ["ws://127.0.0.1:8080/ws/agent"])
        while True:
            try:
                async with connect(next(urls), additional_headers=headers) as socket:
                    await self.session(socket)
            except (OSError, WebSocketException) as error:
                print("disconnected:", error, flush=True)
            if self.socket:
                attempts, self.socket = 0, None
                self.beat.cancel()
            await asyncio.sleep(self.pause + random.uniform(0, min(30, 2**attempts)))  # full jitter: agents do not all reconnect at once
            attempts, self.pause = attempts + 1, 0


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--url", action="append", help="repeat it for the other nodes of a cluster; default: ws://127.0.0.1:8080/ws/agent")
parser.add_argument("--capability", action="append", required=True, help="repeat it for several")
parser.add_argument("--id", default=f"agent_{uuid.uuid4().hex[:12]}", help="default: a new one")
parser.add_argument("--concurrency", type=int, default=16, help="tasks at the same time")
parser.add_argument("--delay", type=float, default=0, help="seconds that a task takes")
parser.add_argument("--fail-rate", type=float, default=0, help="share of tasks that fail, 0 to 1")
try:
    asyncio.run(Agent(parser.parse_args()).run())
except KeyboardInterrupt:
    pass
