#!/usr/bin/env bash
# Expected: in a pattern, which JSON Schema takes from ECMA-262, "$" is the end of the text: "^[a-z]+$" refuses a name with a line feed.
# Happens:  jsonschema 4.26.0 for Python hands the pattern to re, whose "$" also comes before a last line feed, and passes the name.
# Matters:  a name that was validated ends a header or a line of a file where nobody expects it, and the next service refuses it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check jsonschema==4.26.0 fastjsonschema==2.22.3 jsonschema_rs==0.61.2
cat >"$folder/names.py" <<'PYTHON'
import fastjsonschema, importlib.metadata, jsonschema, jsonschema_rs

pattern = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "string", "pattern": "^[a-z]+$"}
properties = {
    "$schema": "http://json-schema.org/draft-07/schema#", "patternProperties": {"^[a-z]+$": {}}, "additionalProperties": False}

def by_fastjsonschema(schema, value):
    try:
        fastjsonschema.compile(schema)(value)
        return True
    except fastjsonschema.JsonSchemaException:
        return False

validators = {
    "jsonschema": lambda schema, value: jsonschema.Draft7Validator(schema).is_valid(value),
    "fastjsonschema": by_fastjsonschema,
    "jsonschema_rs": jsonschema_rs.is_valid,
}
for name, valid in validators.items():
    assert valid(pattern, "name") and not valid(pattern, "name 2") and valid(properties, {"name": 1})
    print(
        name, importlib.metadata.version(name), "passes the name with a line feed:", valid(pattern, "name\n"),
        "and as a property:", valid(properties, {"name\n": 1}))
PYTHON
seen=$("$folder/venv/bin/python" "$folder/names.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
jsonschema 4.26.0 passes the name with a line feed: True and as a property: True
fastjsonschema 2.22.3 passes the name with a line feed: False and as a property: True
jsonschema_rs 0.61.2 passes the name with a line feed: False and as a property: False
EXPECTED
