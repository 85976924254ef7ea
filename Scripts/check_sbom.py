#!/usr/bin/env python3
"""Checks a bill of materials: CycloneDX's schema accepts it, and it has exactly the packages of a Package.resolved.

Scripts/check-release.sh calls it with its packages.
Usage: check_sbom.py FILE PACKAGE_RESOLVED
"""
import json, pathlib, sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

bill, resolved = (pathlib.Path(name).read_text(encoding="utf-8") for name in sys.argv[1:])
faults = [f"{error.data.json_path}: {error.data.message}" for error in JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill, all_errors=True) or ()]
document = json.loads(bill)
pins = {pin["identity"]: pin["state"] for pin in json.loads(resolved)["pins"]}
libraries = {part["name"]: part for part in document["components"] if part["type"] == "library"}
if libraries.keys() != pins.keys():
    faults.append(f"the packages {sorted(libraries.keys() ^ pins.keys())} are in only one of both files")
for name in libraries.keys() & pins.keys():
    part, url = libraries[name], PackageURL.from_string(libraries[name]["purl"])
    if (url.type, url.version, part["version"]) != ("swift", pins[name]["version"], pins[name]["version"]):
        faults.append(f"{name}: {part['purl']} is not version {pins[name]['version']} of a Swift package")
    if not part.get("licenses"):
        faults.append(f"{name}: Scripts/sbom.py does not recognize its license")
# Every package is there because another one needs it.
needed = {reference for entry in document["dependencies"] for reference in entry["dependsOn"]}
for part in document["components"]:
    if part["bom-ref"] not in needed:
        faults.append(f"{part['name']}: no package of the bill needs it")
for fault in faults:
    print(f"error: {sys.argv[1]}: {fault}", file=sys.stderr)
if faults:
    sys.exit(1)
print(f"Bill of materials: CycloneDX {document['specVersion']}, {len(document['components'])} components with licenses")
