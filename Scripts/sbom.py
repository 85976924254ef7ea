#!/usr/bin/env python3
"""Prints a bill of materials (SBOM), CycloneDX 1.6 in JSON, of the packages in a Package.resolved.

The same arguments and files give the same bytes: the serial number is a digest of the contents, and the time is an argument. Licenses are
those whose texts are in the packages' checkouts; a text that is not recognized is left out, with a warning. A package is listed as a whole,
also where it has other people's sources inside, as swift-nio-ssl and swift-crypto have BoringSSL.
Usage: Scripts/sbom.py --version VERSION --commit HASH --time INSTANT [--resolved FILE] [--checkouts FOLDER] [--graph FILE] [--swift VERSION],
where FILE of --graph is the output of swift package show-dependencies --format json, and --swift adds Swift's runtime, which the programs
contain.
"""
import argparse, json, pathlib, re, sys, uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A part of each license's text, and its name among those of SPDX.
LICENSES = [
    (r"Runtime Library Exception to the Apache 2\.0 License", "Apache-2.0 WITH Swift-exception"),
    (r"Apache License\s+Version 2\.0, January 2004", "Apache-2.0"),
    (r"Permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    (r"Redistribution and use in source and binary forms.*Neither the name", "BSD-3-Clause"),
]


def license_of(folder):
    """The license in the folder of a package, as CycloneDX has it; none if there is no text, or one that is not known."""
    for file in sorted(folder.glob("LICEN[SC]E*")) if folder.is_dir() else []:
        text = file.read_text(encoding="utf-8", errors="replace")
        for pattern, name in LICENSES:
            if re.search(pattern, text, re.S):
                return [{"expression": name}] if " " in name else [{"license": {"id": name}}]
    return []


def purl(location, version):
    """The package URL of a package at a version, such as pkg:swift/github.com/apple/swift-nio@2.101.2."""
    path = re.fullmatch(r"(?:https://|ssh://git@|git@)([^/:]+)[/:](.+?)(?:\.git)?/?", location)
    if not path:
        sys.exit(f"error: the location {location} of a package is no address of a repository, such as https://host/owner/name.git")
    return f"pkg:swift/{path[1].lower()}/{path[2]}@{version}"


def component(pin, checkouts):
    state = pin["state"]
    # A branch has no version; its commit says what was built.
    version = state.get("version", state["revision"])
    reference = purl(pin["location"], version)
    folder = checkouts / re.sub(r"\.git$", "", pin["location"].rstrip("/").rsplit("/", 1)[-1])
    licenses = license_of(folder)
    if not licenses:
        print(f"warning: no license of {pin['identity']} is recognized in {folder}", file=sys.stderr)
    return {
        "type": "library", "bom-ref": reference, "name": pin["identity"], "version": version,
        **({"licenses": licenses} if licenses else {}), "purl": reference,
        "externalReferences": [{"type": "vcs", "url": pin["location"]}],
        "properties": [{"name": "swift:revision", "value": state["revision"]}],
    }


def edges(node, references, found):
    """Collects which packages each package of the tree of dependencies uses; those that it names but nothing needs are not resolved."""
    used = {references[child["identity"]] for child in node["dependencies"] if child["identity"] in references}
    found.setdefault(references.get(node["identity"]), set()).update(used)
    for child in node["dependencies"]:
        edges(child, references, found)
    return found


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("Usage: ", 1)[1])
    for name in ["version", "commit", "time"]:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--resolved", type=pathlib.Path, default=ROOT / "Package.resolved")
    parser.add_argument("--checkouts", type=pathlib.Path, default=ROOT / ".build/checkouts")
    parser.add_argument("--graph", type=pathlib.Path)
    parser.add_argument("--swift")
    given = parser.parse_args()
    try:
        pins = json.loads(given.resolved.read_text(encoding="utf-8"))["pins"]
    except OSError as error:
        sys.exit(f"error: {given.resolved}: {error.strerror}; swift package resolve writes it")
    components = [component(pin, given.checkouts) for pin in sorted(pins, key=lambda pin: pin["identity"])]
    own = f"pkg:generic/parallax-ha@{given.version}"
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {
            "timestamp": given.time,
            "component": {
                "type": "application", "bom-ref": own, "name": "parallax-ha", "version": given.version,
                "licenses": license_of(ROOT), "purl": own, "properties": [{"name": "swift:revision", "value": given.commit}]},
        },
        "components": components,
    }
    if given.graph:
        graph = json.loads(given.graph.read_text(encoding="utf-8"))
        references = {part["name"]: part["bom-ref"] for part in components} | {graph["identity"]: own}
        found = edges(graph, references, {})
        document["dependencies"] = [
            {"ref": reference, "dependsOn": sorted(found.get(reference, ()))} for reference in [own, *(part["bom-ref"] for part in components)]]
    if given.swift:
        runtime = f"pkg:generic/swift@{given.swift}"
        components.append({
            "type": "framework", "bom-ref": runtime, "name": "swift", "version": given.swift,
            "description": "The runtime, standard library and Foundation of Swift, linked into the programs.",
            "licenses": [{"expression": "Apache-2.0 WITH Swift-exception"}], "purl": runtime})
        if given.graph:
            document["dependencies"][0]["dependsOn"].append(runtime)
            document["dependencies"].append({"ref": runtime, "dependsOn": []})
    contents = json.dumps(document, sort_keys=True)
    document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, contents).urn
    print(json.dumps(document, indent=2, sort_keys=True))


main()
