#!/usr/bin/env bash
# Expected: a client of server-sent events hands on nothing for a comment, which servers send as a keep-alive, as the HTML standard advises.
# Happens:  httpx-sse 0.4.3 does so until the first event with an id; then each keep-alive is an event with that id and empty data.
# Matters:  the program fails at json.loads("") in the first pause, or handles an id twice; tests without pauses show nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check httpx-sse==0.4.3 httpx==0.28.1
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata, httpx, httpx_sse

def events(stream):
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
    with httpx.Client(transport=httpx.MockTransport(lambda request: answer)) as client:
        with httpx_sse.connect_sse(client, "GET", "http://localhost/") as source:
            return [(event.id, event.data) for event in source.iter_sse()]

without = events(b"data: one\n\n: keep-alive\n\n: keep-alive\n\n")
with_id = events(b"id: 7\ndata: one\n\n: keep-alive\n\n: keep-alive\n\n")
print("httpx-sse", importlib.metadata.version("httpx-sse"))
print("an event without id, two keep-alives:", without)
print("an event with an id, two keep-alives:", with_id)
assert without == [("", "one")]
assert with_id == [("7", "one"), ("7", ""), ("7", "")]
PYTHON
