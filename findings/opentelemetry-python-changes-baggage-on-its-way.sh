#!/usr/bin/env bash
# Expected: a service hands on baggage that it does not touch as it came: values, and their properties after ";" (W3C Baggage, section 3.2).
# Happens:  opentelemetry 1.45.2 for Python makes the properties part of the value, and encodes a space as "+", which others read as a plus.
# Matters:  behind one Python service "tier=gold;ttl=1" is no longer "gold", and "new york" is "new+york": routing and labels no longer match.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opentelemetry-api==1.45.2
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator

came = {"baggage": "tier=gold;ttl=1,city=new%20york"}
context = W3CBaggagePropagator().extract(came)
read = dict(baggage.get_all(context))
sent = {}
W3CBaggagePropagator().inject(sent, context)
print("opentelemetry-api", importlib.metadata.version("opentelemetry-api"))
print("came:", came["baggage"])
print("the program reads:", read)
print("goes on:", sent["baggage"])
assert read == {"tier": "gold;ttl=1", "city": "new york"}
assert sent["baggage"] == "tier=gold%3Bttl%3D1,city=new+york"
PYTHON
