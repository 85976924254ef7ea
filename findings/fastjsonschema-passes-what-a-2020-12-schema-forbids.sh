#!/usr/bin/env bash
# Expected: a validator refuses a schema whose "$schema" demands vocabularies that it does not know (2020-12 core, section 8.1.2).
# Happens:  fastjsonschema 2.22.3 takes a 2020-12 schema as one of draft 7, without a word, and ignores each keyword that came since.
# Matters:  schemas of OpenAPI 3.1 and of today's generators use them: what they require, limit or close off is not looked at any more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fastjsonschema==2.22.3 jsonschema==4.26.0
cat >"$folder/drafts.py" <<'PYTHON'
import fastjsonschema, importlib.metadata, jsonschema

cases = {
    "prefixItems": ({"prefixItems": [{"type": "string"}]}, [1]),
    "dependentRequired": ({"dependentRequired": {"card": ["address"]}}, {"card": "1234"}),
    "unevaluatedProperties": ({"allOf": [{"properties": {"name": {}}}], "unevaluatedProperties": False}, {"nmae": "x"}),
    "minContains": ({"contains": {"const": "admin"}, "minContains": 2}, ["admin"]),
    "$ref with siblings": ({"$defs": {"text": {"type": "string"}}, "$ref": "#/$defs/text", "maxLength": 3}, "too long"),
}

def by_fastjsonschema(schema, value):
    try:
        fastjsonschema.compile(schema)(value)
        return "passes"
    except fastjsonschema.JsonSchemaException:
        return "fails"

def by_jsonschema(schema, value):
    return "passes" if jsonschema.Draft202012Validator(schema).is_valid(value) else "fails"

for name, validate in {"fastjsonschema": by_fastjsonschema, "jsonschema": by_jsonschema}.items():
    print(name, importlib.metadata.version(name))
    for case, (schema, value) in cases.items():
        print(f"  what {case} forbids", validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, value))
PYTHON
seen=$("$folder/venv/bin/python" "$folder/drafts.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
fastjsonschema 2.22.3
  what prefixItems forbids passes
  what dependentRequired forbids passes
  what unevaluatedProperties forbids passes
  what minContains forbids passes
  what $ref with siblings forbids passes
jsonschema 4.26.0
  what prefixItems forbids fails
  what dependentRequired forbids fails
  what unevaluatedProperties forbids fails
  what minContains forbids fails
  what $ref with siblings forbids fails
EXPECTED
