#!/usr/bin/env bash
# Expected: a client of the Model Context Protocol whose session the server no longer knows, 404, starts a new one by initialize: "MUST", in
#           the chapter on the sessions of Streamable HTTP (revision 2025-06-18).
# Happens:  the client of the Python SDK, mcp 2.3.0, raises "Session not found" for that call and for each one after it, for ever, against
#           a server of the same SDK that was restarted.
# Matters:  one deployment of the server breaks every agent that is connected to it; its program has to build the whole client anew, after
#           it has told this error from all others by its text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mcp==2.3.0 uvicorn==0.54.0
cat >"$folder/server.py" <<'PYTHON'
import sys
import uvicorn
from mcp.server import MCPServer

server = MCPServer("sums")

@server.tool()
def add(a: int, b: int) -> int:
    return a + b

uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
PYTHON
cat >"$folder/client.py" <<'PYTHON'
import asyncio, importlib.metadata, logging, pathlib, socket, subprocess, sys
from mcp import Client

def start(port):
    process = subprocess.Popen([sys.executable, pathlib.Path(sys.argv[1]) / "server.py", str(port)], stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process
        except OSError:
            pass

async def add(client):
    try:
        return (await client.call_tool("add", {"a": 1, "b": 2})).structured_content
    except Exception as error:
        return f"{type(error).__name__}: {error}"

async def main():
    print("mcp", importlib.metadata.version("mcp"))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = start(port)
    try:
        # Sessions are of the revisions until 2025-11-25, which "legacy" chooses, as "auto" does with a server that knows no later one.
        async with Client(f"http://127.0.0.1:{port}/mcp", mode="legacy") as client:
            print("before the restart:", await add(client))
            process.kill()
            process.wait()
            process = start(port)
            for _ in range(3):
                print("after it:", await add(client))
                await asyncio.sleep(1)
        async with Client(f"http://127.0.0.1:{port}/mcp", mode="legacy") as client:
            print("a new client:", await add(client))
    finally:
        process.kill()
        process.wait()

logging.disable()
asyncio.run(main())
PYTHON
seen=$("$folder/venv/bin/python" "$folder/client.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
mcp 2.3.0
before the restart: {'result': 3}
after it: MCPError: Session not found
after it: MCPError: Session not found
after it: MCPError: Session not found
a new client: {'result': 3}
EXPECTED
