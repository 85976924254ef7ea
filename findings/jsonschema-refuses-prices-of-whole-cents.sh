#!/usr/bin/env bash
# Expected: 4.35 is a multiple of 0.01, as JSON writes both: a validator divides the numbers that were written, or allows for binary fractions.
# Happens:  jsonschema 4.26.0 for Python divides binary fractions and refuses 4.35; fastjsonschema 2.22.3 and jsonschema-rs 0.61.2 accept it.
# Matters:  159 of the 1000 prices below 10.00 are refused, seemingly at random, while a service beside it accepts them all.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check jsonschema==4.26.0 fastjsonschema==2.22.3 jsonschema_rs==0.61.2
cat >"$folder/prices.py" <<'PYTHON'
import fastjsonschema, importlib.metadata, json, jsonschema, jsonschema_rs

schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "number", "multipleOf": 0.01}
by_fastjsonschema = fastjsonschema.compile(schema)

def fast(value):
    try:
        by_fastjsonschema(value)
        return True
    except fastjsonschema.JsonSchemaException:
        return False

validators = {
    "jsonschema": jsonschema.Draft7Validator(schema).is_valid,
    "fastjsonschema": fast,
    "jsonschema_rs": jsonschema_rs.validator_for(schema).is_valid,
}
prices = [json.loads(f"{cents // 100}.{cents % 100:02}") for cents in range(1000)]
for name, valid in validators.items():
    refused = [price for price in prices if not valid(price)]
    print(name, importlib.metadata.version(name), "refuses", len(refused), "of 1000 prices; 4.35:", valid(4.35), "and 4.355:", valid(4.355))
PYTHON
seen=$("$folder/venv/bin/python" "$folder/prices.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
jsonschema 4.26.0 refuses 159 of 1000 prices; 4.35: False and 4.355: False
fastjsonschema 2.22.3 refuses 0 of 1000 prices; 4.35: True and 4.355: False
jsonschema_rs 0.61.2 refuses 0 of 1000 prices; 4.35: True and 4.355: False
EXPECTED
