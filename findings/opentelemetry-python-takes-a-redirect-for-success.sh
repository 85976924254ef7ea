#!/usr/bin/env bash
# Expected: an exporter that is answered with a redirection follows it, or reports that the spans were not taken; and it says so where a
#           collector takes a request with 200 and rejects its spans ("partial success" of OTLP, with a message for the operator).
# Happens:  the OTLP exporter of OpenTelemetry for Python 1.45.2 does neither: both are SUCCESS, the spans are gone, nothing is logged.
# Matters:  a collector that has moved behind https, or a tenant above its limit, loses all traces, and no log or counter of the program tells.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
cat >"$folder/export.py" <<'PYTHON'
import http.server, importlib.metadata, logging, threading
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider

class Collector(http.server.BaseHTTPRequestHandler):
    asked = []

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Collector.asked.append(self.path)
        word = self.path.split("/")[1]
        answer = ExportTraceServiceResponse()
        if word == "rejecting":
            answer.partial_success.rejected_spans = 1
            answer.partial_success.error_message = "above the limit of the tenant"
        body = answer.SerializeToString()
        self.send_response(int(word) if word.isdigit() else 200)
        if word.isdigit():
            self.send_header("Location", "/accepting/v1/traces")
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *words):
        pass

class Log(logging.Handler):
    lines = []

    def emit(self, record):
        if record.name.startswith("opentelemetry"):
            Log.lines.append(record)

logging.basicConfig(level=logging.DEBUG, handlers=[Log()])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
span = TracerProvider().get_tracer("findings").start_span("job")
span.end()
print("opentelemetry-exporter-otlp-proto-http", importlib.metadata.version("opentelemetry-exporter-otlp-proto-http"))
for word in ("accepting", "301", "307", "308", "rejecting", "400"):
    Collector.asked.clear()
    Log.lines.clear()
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{server.server_address[1]}/{word}/v1/traces")
    print(f"{word}: {exporter.export([span]).name}, requests: {len(Collector.asked)}, log lines: {len(Log.lines)}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/export.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
opentelemetry-exporter-otlp-proto-http 1.45.2
accepting: SUCCESS, requests: 1, log lines: 0
301: SUCCESS, requests: 1, log lines: 0
307: SUCCESS, requests: 1, log lines: 0
308: SUCCESS, requests: 1, log lines: 0
rejecting: SUCCESS, requests: 1, log lines: 0
400: FAILURE, requests: 1, log lines: 1
EXPECTED
