#!/usr/bin/env bash
# Expected: of B3's sampling states a service keeps deny without ids ("b3: 0"), decides itself where none is given, and hands debug on.
# Happens:  opentelemetry-propagator-b3 1.45.1 for Python records what was denied, denies what was left open in X-B3 headers, and drops debug.
# Matters:  health checks that a mesh exempts fill the store, traces begun without a decision vanish, and a forced one ends at this service.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opentelemetry-propagator-b3==1.45.1 opentelemetry-sdk==1.45.1
cat >"$folder/decisions.py" <<'PYTHON'
import importlib.metadata
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.sdk.trace import TracerProvider

TRACE, SPAN = "80f198ee56343ba864fe8b2a57d3eff7", "e457b5a2e4d86bd1"
tracer = TracerProvider().get_tracer("service")  # which records each trace that nobody denied

def decision(propagator, came):
    """Whether a span under these headers is recorded, and the state that goes on."""
    sent = {}
    with tracer.start_as_current_span("work", context=propagator.extract(came)) as span:
        propagator.inject(sent)
    state = sent["b3"].split("-")[2] if "b3" in sent else {key: sent[key] for key in ("x-b3-sampled", "x-b3-flags") if key in sent}
    return f"recorded: {span.is_recording() or bool(span.get_span_context().trace_flags.sampled)}, goes on as {state}"

ids = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}
print("opentelemetry-propagator-b3", importlib.metadata.version("opentelemetry-propagator-b3"))
print("denied, with ids:", decision(B3SingleFormat(), {"b3": f"{TRACE}-{SPAN}-0"}))
print("denied, without ids:", decision(B3SingleFormat(), {"b3": "0"}))
print("denied, without ids, X-B3-Sampled:", decision(B3MultiFormat(), {"x-b3-sampled": "0"}))
print("left open:", decision(B3SingleFormat(), {"b3": f"{TRACE}-{SPAN}"}))
print("left open, X-B3 headers:", decision(B3MultiFormat(), ids))
print("debug:", decision(B3SingleFormat(), {"b3": f"{TRACE}-{SPAN}-d"}))
print("debug, X-B3-Flags:", decision(B3MultiFormat(), {**ids, "x-b3-flags": "1"}))
PYTHON
seen=$("$folder/venv/bin/python" "$folder/decisions.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
opentelemetry-propagator-b3 1.45.1
denied, with ids: recorded: False, goes on as 0
denied, without ids: recorded: True, goes on as 1
denied, without ids, X-B3-Sampled: recorded: True, goes on as {'x-b3-sampled': '1'}
left open: recorded: True, goes on as 1
left open, X-B3 headers: recorded: False, goes on as {'x-b3-sampled': '0'}
debug: recorded: True, goes on as 1
debug, X-B3-Flags: recorded: True, goes on as {'x-b3-sampled': '1'}
EXPECTED
