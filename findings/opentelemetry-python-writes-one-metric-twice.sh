#!/usr/bin/env bash
# Expected: the page of a Prometheus exporter has one HELP and one TYPE line for a metric, as its text format demands, whatever two libraries
#           of the program call their instruments; a conflict is resolved, or reported.
# Happens:  opentelemetry-exporter-prometheus 0.66b2 writes the metric twice where the descriptions differ by one letter, and as two types
#           where a gauge has the name of a counter; nothing is logged. Prometheus' own parser for Go, in promtool, refuses the whole page.
# Matters:  two libraries that count "jobs" make all metrics of the program unreadable to pushgateways, agents and checks.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  opentelemetry-exporter-prometheus==0.66b2 opentelemetry-sdk==1.45.2 prometheus-client==0.26.0
(
  cd "$folder"
  apt-get download -qq -o APT::Sandbox::User=root prometheus=2.42.0+ds-5+deb12u1
  dpkg-deb -x prometheus_*.deb debian
)
cat >"$folder/page.py" <<'PYTHON'
import importlib.metadata, logging, pathlib, subprocess, sys
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, generate_latest

class Log(logging.Handler):
    lines = []

    def emit(self, record):
        Log.lines.append(record)

def page(*instruments):
    """The page of a program with these instruments, each of a library of its own."""
    reader = PrometheusMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    for number, (kind, name, description) in enumerate(instruments):
        getattr(provider.get_meter(f"library-{number}"), f"create_{kind}")(name, description=description).add(1)
    lines = generate_latest(REGISTRY).decode().splitlines(keepends=True)
    provider.shutdown()
    return "".join(line for line in lines if "jobs" in line)

logging.basicConfig(level=logging.DEBUG, handlers=[Log()])
promtool = pathlib.Path(sys.argv[1]) / "debian/usr/bin/promtool"
print("opentelemetry-exporter-prometheus", importlib.metadata.version("opentelemetry-exporter-prometheus"))
print(subprocess.run([promtool, "--version"], capture_output=True, text=True).stdout.split("+")[0])
for name, instruments in {
    "one description": [("counter", "jobs", "Jobs."), ("counter", "jobs", "Jobs.")],
    "two descriptions": [("counter", "jobs", "Jobs."), ("counter", "jobs", "Jobs")],
    "two types": [("counter", "jobs", "Jobs."), ("up_down_counter", "jobs_total", "Jobs.")],
}.items():
    text = page(*instruments)
    check = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
    types = [line.split()[3] for line in text.splitlines() if line.startswith("# TYPE jobs_total ")]
    refused = "second" in check.stderr
    print(f"{name}: TYPE lines {types}, promtool exits with {check.returncode}, refuses a second line: {refused}, log lines: {len(Log.lines)}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/page.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
opentelemetry-exporter-prometheus 0.66b2
promtool, version 2.42.0
one description: TYPE lines ['counter'], promtool exits with 0, refuses a second line: False, log lines: 0
two descriptions: TYPE lines ['counter', 'counter'], promtool exits with 1, refuses a second line: True, log lines: 0
two types: TYPE lines ['counter', 'gauge'], promtool exits with 1, refuses a second line: True, log lines: 0
EXPECTED
