#!/usr/bin/env bash
# Expected: prometheus_client.parser returns the series of a page by the names that stand there, under which Prometheus stores them.
# Happens:  version 0.26.0 renames a counter that does not end with _total, which the text format does not demand: "jobs" is "jobs_total".
# Matters:  a check that looks for the series finds none, and an exporter that hands pages on moves it to a name that no dashboard has.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check prometheus_client==0.26.0
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

page = "# HELP jobs Jobs done.\n# TYPE jobs counter\njobs 3\n"

class Relay:
    def collect(self):
        return text_string_to_metric_families(page)

names = [sample.name for family in text_string_to_metric_families(page) for sample in family.samples]
registry = CollectorRegistry()
registry.register(Relay())
relayed = generate_latest(registry).decode()
print("prometheus_client", importlib.metadata.version("prometheus_client"), "reads", names, "in")
print(page)
print("and hands on")
print(relayed)
assert names == ["jobs_total"] and "\njobs_total 3.0\n" in relayed and "\njobs " not in relayed
PYTHON
