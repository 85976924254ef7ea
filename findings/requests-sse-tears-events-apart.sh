#!/usr/bin/env bash
# Expected: a client of server-sent events finds the same events wherever the stream is cut into pieces; lines may end with CR LF.
# Happens:  requests-sse 0.5.3 reads pieces of 512 octets; where one ends between CR and LF it sees an empty line, and ends the event there.
# Matters:  one in 512 line breaks tears its event into two halves, the second with the first's id: neither is JSON, and tests show nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check requests-sse==0.5.3 requests==2.34.2 httpx-sse==0.4.3 httpx==0.28.1
cat >"$folder/events.py" <<'PYTHON'
import http.server, importlib.metadata, threading
import httpx, httpx_sse, requests_sse

class Stream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(1, 1101):
            event = b"id: %d\r\ndata: %s\r\ndata: end\r\n\r\n" % (number, b"x" * number)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *words):
        pass

class End(Exception):
    pass

def end():
    raise End

def by_requests_sse(url):
    events = []
    try:
        with requests_sse.EventSource(url, timeout=30, on_error=end) as source:
            for event in source:
                events.append((event.last_event_id, event.data))
    except End:
        return events

def by_httpx_sse(url):
    with httpx.Client() as client, httpx_sse.connect_sse(client, "GET", url) as source:
        return [(event.id, event.data) for event in source.iter_sse()]

with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stream) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, client in {"httpx-sse": by_httpx_sse, "requests-sse": by_requests_sse}.items():
        events = client(f"http://127.0.0.1:{server.server_port}/")
        torn = [(id, len(data), data[-3:]) for id, data in events if data != "x" * int(id) + "\nend"]
        print(name, importlib.metadata.version(name), "delivers", len(events), "for 1100 events, of which torn:", torn)
    server.shutdown()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/events.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
httpx-sse 0.4.3 delivers 1100 for 1100 events, of which torn: []
requests-sse 0.5.3 delivers 1102 for 1100 events, of which torn: [('496', 496, 'xxx'), ('496', 3, 'end'), ('1007', 1007, 'xxx'), ('1007', 3, 'end')]
EXPECTED
