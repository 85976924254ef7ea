#!/usr/bin/env bash
# Expected: what a JSON reader has accepted can be written back as JSON; orjson and simdjson refuse a number that no double can hold.
# Happens:  Python's json and ujson 6.1.0 read the valid text 1e400 as inf, and both write that back as Infinity, which is no JSON.
# Matters:  one great number in a request becomes an answer or a stored document that strict readers, JavaScript's among them, cannot read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check orjson==3.13.0 ujson==6.1.0 pysimdjson==7.0.2
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata, json, platform
import orjson, simdjson, ujson

def outcome(work):
    try:
        return work()
    except (ValueError, OverflowError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"

text = "[1e400]"
versions = {name: importlib.metadata.version(name) for name in ("orjson", "ujson", "pysimdjson")}
read = {
    "json": outcome(lambda: json.loads(text)), "ujson": outcome(lambda: ujson.loads(text)),
    "orjson": outcome(lambda: orjson.loads(text)), "pysimdjson": outcome(lambda: simdjson.loads(text)),
}
print(f"Python {platform.python_version()}, {versions}")
for name, value in read.items():
    print(f"{name} reads {text} as {value!r}")
written = {"json": outcome(lambda: json.dumps(read["json"])), "ujson": outcome(lambda: ujson.dumps(read["ujson"]))}
print(f"written back: {written}")
again = outcome(lambda: orjson.loads(written["json"]))
print(f"orjson reads {written['json']} as {again!r}")
infinite = [float("inf")]
assert read["json"] == read["ujson"] == infinite, "json or ujson refuses it now"
assert "Error" in read["orjson"] and "Error" in read["pysimdjson"]
assert written["json"] == written["ujson"] == "[Infinity]" and "Error" in again
PYTHON
