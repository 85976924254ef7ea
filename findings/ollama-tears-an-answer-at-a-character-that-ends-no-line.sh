#!/usr/bin/env bash
# Expected: a client of newline-delimited JSON ends a line at a line feed; any other character, U+2028 or U+0085 too, may stand in a string.
# Happens:  ollama 0.6.3 and lightkube 1.0.1 read lines with httpx 0.28.1, which ends them at eight other characters too, and fail to
#           decode the halves, in the middle of an answer or of a watch.
# Matters:  what a model writes, or one annotation of anybody's object, ends the stream of a client that worked for months; a watch fails
#           anew at each attempt, for as long as the object is there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ollama==0.6.3 lightkube==1.0.1 lightkube-models==1.37.0.8 httpx==0.28.1
cat >"$folder/lines.py" <<'PYTHON'
import http.server, importlib.metadata, json, threading
import ollama
from lightkube import Client, KubeConfig
from lightkube.config.models import Cluster, User
from lightkube.resources.core_v1 import ConfigMap

class Server(http.server.BaseHTTPRequestHandler):
    texts = []

    def stream(self, values):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.end_headers()
        for value in values:
            self.wfile.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")

    def do_POST(self):
        self.stream({"model": "m", "message": {"role": "assistant", "content": text}, "done": False} for text in Server.texts)

    def do_GET(self):
        metadata = {"name": "m", "resourceVersion": "1"}
        self.stream({"type": "ADDED", "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}}}
                    for text in Server.texts)

    def log_message(self, *words):
        pass

def answers():
    client = ollama.Client(host=url)
    for part in client.chat(model="m", messages=[{"role": "user", "content": "x"}], stream=True):
        yield part.message.content

def objects():
    client = Client(config=KubeConfig.from_one(cluster=Cluster(server=url), user=User()))
    for number, (_, found) in enumerate(client.watch(ConfigMap, namespace="m")):
        yield found.data["text"]
        if number == len(Server.texts) - 1:
            return

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}"
for name, read in {"ollama": answers, "lightkube": objects}.items():
    print(name, importlib.metadata.version(name) + ", httpx", importlib.metadata.version("httpx"))
    for character in ("\u00e9", "\u0085", "\u2028"):
        Server.texts, got = ["one", f"t{character}wo", "three"], []
        try:
            for text in read():
                got.append(text)
            print(f"  U+{ord(character):04X}:", "all texts" if got == Server.texts else got)
        except ValueError as error:
            print(f"  U+{ord(character):04X}: {got}, then {type(error).__name__}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/lines.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
ollama 0.6.3, httpx 0.28.1
  U+00E9: all texts
  U+0085: ['one'], then JSONDecodeError
  U+2028: ['one'], then JSONDecodeError
lightkube 1.0.1, httpx 0.28.1
  U+00E9: all texts
  U+0085: ['one'], then DecodeError
  U+2028: ['one'], then DecodeError
EXPECTED
