#!/usr/bin/env bash
# Expected: openapi-spec-validator fails a document whose security, links or servers name what is not there, as it fails $ref, operation ids
#           and path parameters that do not fit; and two templates of one path, which OpenAPI 3.1 calls invalid.
# Happens:  version 0.9.0 passes each of them.
# Matters:  one misspelled security scheme passes every pipeline, and what is generated from the document has no scheme to follow.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openapi-spec-validator==0.9.0
cat >"$folder/names.py" <<'PYTHON'
import copy, importlib.metadata
from openapi_spec_validator import validate

def operation(name, parameter):
    return {"get": {
        "operationId": name, "parameters": [{"name": parameter, "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {"200": {"description": "A job."}}}}

SOUND = {
    "openapi": "3.1.0", "info": {"title": "Jobs", "version": "1"}, "servers": [{"url": "https://example.org"}],
    "paths": {"/jobs/{id}": operation("job", "id")}, "security": [{"key": []}],
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}}
CHANGES = {
    "sound": lambda document: None,
    "$ref to no response": lambda document: document["paths"]["/jobs/{id}"]["get"]["responses"].update(
        {"404": {"$ref": "#/components/responses/NotFound"}}),
    "an operation id twice": lambda document: document["paths"].update({"/tasks/{id}": operation("job", "id")}),
    "security by no scheme": lambda document: document.update(security=[{"keys": []}]),
    "a link to no operation": lambda document: document["paths"]["/jobs/{id}"]["get"]["responses"]["200"].update(
        links={"next": {"operationId": "jobs"}}),
    "a server with no such variable": lambda document: document.update(servers=[{"url": "https://{host}"}]),
    "two templates of one path": lambda document: document["paths"].update({"/jobs/{name}": operation("named", "name")}),
}

print("openapi-spec-validator", importlib.metadata.version("openapi-spec-validator"))
for name, change in CHANGES.items():
    document = copy.deepcopy(SOUND)
    change(document)
    try:
        validate(document)
        print(f"{name}: passes")
    except Exception as error:
        print(f"{name}: fails, {type(error).__name__}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/names.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
openapi-spec-validator 0.9.0
sound: passes
$ref to no response: fails, PointerToNowhere
an operation id twice: fails, DuplicateOperationIDError
security by no scheme: passes
a link to no operation: passes
a server with no such variable: passes
two templates of one path: passes
EXPECTED
