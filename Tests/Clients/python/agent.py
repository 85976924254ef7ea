"""The common part of the Python agents: their messages, and their output for the driver."""
import json, sys

URL, NAME = sys.argv[1:3]
HEADERS = {"X-Agent-Id": NAME}
REGISTRATION = json.dumps({"type": "register", "payload": {"capabilities": [NAME]}})
PAUSE = 0.5  # seconds between attempts to connect


def say(*words):
    print(*words, flush=True)


def answer(text):
    """The message that answers a message; None where there is nothing to say."""
    message = json.loads(text)
    if message["type"] == "registered":
        say("registered")
    if message["type"] == "error":
        say("error", message["payload"])
    if message["type"] != "task":
        return None
    task = message["payload"]
    result = {"data": "x" * task["input"]["bytes"]} if "bytes" in task["input"] else {"echo": task["input"]["text"]}
    ids = {"taskId": task["taskId"], "executionId": task["executionId"]}
    return json.dumps({"type": "task_result", "payload": {**ids, "result": result}})
