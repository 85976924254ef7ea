#!/usr/bin/env bash
# Expected: a WebSocket client tells a lost connection from an orderly end, names the code that it was closed with, and answers the close
#           frame (RFC 6455, sections 7.1.5 and 5.5.1).
# Happens:  with niquests 3.21.2, next_payload() returns None for each of them, keeps no code or reason, and sends no close frame back.
# Matters:  a program takes half a stream for the whole, and cannot tell "restarting, come back" from "done"; the server counts every
#           session as lost, since the answer to its close frame never comes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  'niquests[ws]==3.21.2' urllib3-future==2.25.904 wsproto==1.2.0 websockets==17.4
cat >"$folder/ends.py" <<'PYTHON'
import asyncio, importlib.metadata, logging
import niquests
from websockets.asyncio.server import serve
from websockets.sync.client import connect
from websockets.exceptions import ConnectionClosed

ENDS = {"/1000": (1000, "done"), "/1012": (1012, "restarting"), "/lost": None}

class Server:
    def __init__(self):
        self.answers = []

    async def serve(self, peer):
        await peer.send("half")
        end = ENDS[peer.request.path]
        if end:
            await peer.close(*end)
        else:
            peer.transport.abort()
        self.answers.append(peer.protocol.close_rcvd is not None)

def with_niquests(url):
    with niquests.Session() as session:
        peer, seen = session.get(url, timeout=10).extension, []
        while not seen or seen[-1] is not None:
            seen.append(peer.next_payload())
        names = [name for name in dir(peer) if "code" in name.lower() or "reason" in name.lower()]
        return f"{seen}, attributes for a code or reason: {names}"

def with_websockets(url):
    seen = []
    with connect(url) as peer:
        try:
            while True:
                seen.append(peer.recv())
        except ConnectionClosed:
            return f"{seen}, {peer.close_code} {peer.close_reason}".strip()

async def main():
    server = Server()
    async with serve(server.serve, "127.0.0.1", 0, close_timeout=2) as listener:
        for name, read in {"niquests": with_niquests, "websockets": with_websockets}.items():
            print(name, importlib.metadata.version(name))
            for path in ENDS:
                server.answers.clear()
                seen = await asyncio.to_thread(read, f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}{path}")
                while not server.answers:
                    await asyncio.sleep(0.05)
                print(f"  {path[1:]}: {seen}, the close frame is answered: {server.answers[0]}")

logging.disable()
asyncio.run(main())
PYTHON
seen=$("$folder/venv/bin/python" "$folder/ends.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
niquests 3.21.2
  1000: ['half', None], attributes for a code or reason: [], the close frame is answered: False
  1012: ['half', None], attributes for a code or reason: [], the close frame is answered: False
  lost: ['half', None], attributes for a code or reason: [], the close frame is answered: False
websockets 17.4
  1000: ['half'], 1000 done, the close frame is answered: True
  1012: ['half'], 1012 restarting, the close frame is answered: True
  lost: ['half'], 1006, the close frame is answered: False
EXPECTED
