#!/usr/bin/env bash
# Expected: a JSON reader in Python returns whole numbers exactly, as json, ujson and msgspec do, or refuses them, as simdjson does.
# Happens:  orjson 3.13.0 returns a float for whole numbers beyond 64 bits, without a word: 18446744073709551617 loses its last digits.
# Matters:  ids and amounts change on their way through a service; who exchanges JSON has to send such numbers as strings, or refuse them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check orjson==3.13.0 ujson==6.1.0 msgspec==0.23.0 pysimdjson==7.0.2
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata, json
import msgspec, orjson, simdjson, ujson

text = "18446744073709551617"
readers = {"json": json.loads, "ujson": ujson.loads, "msgspec": msgspec.json.decode, "pysimdjson": simdjson.loads, "orjson": orjson.loads}
seen = {}
for name, read in readers.items():
    version = "" if name == "json" else importlib.metadata.version(name)
    try:
        seen[name] = read(text)
    except (ValueError, RuntimeError) as error:
        seen[name] = type(error).__name__
    print(f"{name} {version}: {text} is read as {seen[name]!r}")
exact = int(text)
assert seen["json"] == seen["ujson"] == seen["msgspec"] == exact and seen["pysimdjson"] in ("ValueError", "RuntimeError")
assert isinstance(seen["orjson"], float) and int(seen["orjson"]) != exact, "orjson no longer rounds"
print(f"orjson writes it back as {orjson.dumps(seen['orjson']).decode()}")
PYTHON
