#!/usr/bin/env bash
# Expected: a block without data, as "retry: 2000" at the start of a stream, makes no event (HTML standard, 9.2.6); it sets what it sets.
# Happens:  httpx2 2.16.2, like httpx-sse 0.4.3 before it, delivers an event of type message with empty data, for a lone id and type too.
# Matters:  servers name their reconnection time first: a program fails at json.loads("") before it has seen a single event.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check httpx2==2.16.2 httpx-sse==0.4.3 httpx==0.28.1 requests-sse==0.5.3
cat >"$folder/blocks.py" <<'PYTHON'
import http.server, importlib.metadata, threading
import httpx, httpx2, httpx_sse, requests_sse

class Stream(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"retry: 2000\n\nid: 7\n\nevent: progress\n\ndata: {}\n\n")

    def log_message(self, *words):
        pass

class End(Exception):
    pass

def end():
    raise End

def by_httpx2(url):
    with httpx2.Client() as client, client.sse(url) as events:
        return [(event.event, event.data) for event in events]

def by_httpx_sse(url):
    with httpx.Client() as client, httpx_sse.connect_sse(client, "GET", url) as source:
        return [(event.event, event.data) for event in source.iter_sse()]

def by_requests_sse(url):
    events = []
    try:
        with requests_sse.EventSource(url, timeout=30, on_error=end) as source:
            for event in source:
                events.append((event.type, event.data))
    except End:
        return events

with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stream) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, client in {"httpx2": by_httpx2, "httpx-sse": by_httpx_sse, "requests-sse": by_requests_sse}.items():
        print(name, importlib.metadata.version(name), "delivers", client(f"http://127.0.0.1:{server.server_port}/"))
    server.shutdown()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/blocks.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
httpx2 2.16.2 delivers [('message', ''), ('message', ''), ('progress', ''), ('message', '{}')]
httpx-sse 0.4.3 delivers [('message', ''), ('message', ''), ('progress', ''), ('message', '{}')]
requests-sse 0.5.3 delivers [('message', '{}')]
EXPECTED
