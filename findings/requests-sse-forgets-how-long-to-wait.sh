#!/usr/bin/env bash
# Expected: the time that a server sets by "retry:" holds for all later connections (HTML standard, 9.2.6), until it sets another.
# Happens:  requests-sse 0.5.3 forgets it once it has connected again; and it waits twice as long as it was told, from the first time on.
# Matters:  a server that sets it once, to spread its clients or to have them back at once, has no say any more after one reconnection.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check requests-sse==0.5.3 requests==2.34.2
cat >"$folder/retry.py" <<'PYTHON'
import http.server, importlib.metadata, threading, time
from datetime import timedelta
from requests_sse import EventSource

connected = []

class Stream(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        connected.append(time.monotonic())
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if len(connected) == 1:
            self.wfile.write(b"retry: 500\n\n")
        self.wfile.write(b"data: event\n\n")

    def log_message(self, *words):
        pass

with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stream) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    with EventSource(url, timeout=30, reconnection_time=timedelta(seconds=2)) as source:
        while len(connected) < 4:
            next(source)
    server.shutdown()
waited = [round(after - before) for before, after in zip(connected, connected[1:])]
print("requests-sse", importlib.metadata.version("requests-sse"))
print("told to wait 0.5 s, and 2 s by its program before that, it waits", waited, "s")
assert waited == [1, 4, 4]
PYTHON
"$folder/venv/bin/python" "$folder/retry.py"
