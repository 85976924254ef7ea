#!/usr/bin/env python3
"""Prints the version of the project, or changes it in every file that has it.

The source is ParallaxVersion in Sources/ParallaxAPI: the programs, the metric parallax_build_info and the OpenAPI document take it from
there. The other files are listed here. With --check each must have this version, as often as it should, and no other.
Usage: Scripts/version.py [--check | --write VERSION]
"""
import pathlib, re, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = "Sources/ParallaxAPI/ParallaxVersion.swift"
# Semantic Versioning without build metadata, which tags of images cannot have.
NUMBER = r"(?:0|[1-9]\d*)"
VERSION = rf"{NUMBER}\.{NUMBER}\.{NUMBER}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
# The files with the version, each with the texts before and behind it, and the least number of places.
PLACES = [
    (SOURCE, r'public static let current = "', '"', 1),
    ("README.md", r"^parallaxd ", " listens on ", 1),
    ("README.md", r"^without a node: [\w-]+, version ", "$", 1),
    ("docs/tutorials/first-agent.md", r"^parallaxd ", " listens on ", 1),
    ("deploy/compose/.env", r"^PARALLAX_VERSION=", "$", 1),
    ("deploy/docker/Dockerfile", r"--tag parallax-control-plane:", r"(?= )", 1),
    ("docs/operations/containers.md", r"--tag parallax-control-plane:", r"(?= )", 1),
    ("docs/operations/verifying-a-release.md", r"^\$ version=", "$", 1),
    ("docs/operations/verifying-a-release.md", r"^", r" \(commit ", 1),
    ("deploy/helm/parallax-control-plane/Chart.yaml", r"^version: ", "$", 1),
    ("deploy/helm/parallax-control-plane/Chart.yaml", r"^appVersion: ", "$", 1),
    ("deploy/kubernetes/*.yaml", r'^ +app\.kubernetes\.io/version: "', '"$', 10),
    ("deploy/kubernetes/*.yaml", r"^ +image: parallax-control-plane:", "$", 1),
]


def places():
    """The text of each file, with the places of the version in it."""
    for glob, before, behind, least in PLACES:
        pattern = re.compile(rf"(?P<before>{before})(?P<version>{VERSION})(?P<behind>{behind})", re.M)
        files = sorted(ROOT.glob(glob))
        found = [(file, match) for file in files for match in pattern.finditer(file.read_text(encoding="utf-8"))]
        yield glob, pattern, least, files, found


def current():
    found = next(places())[4]
    if len(found) != 1:
        sys.exit(f"error: {SOURCE}: expected one line with the version, such as: public static let current = \"1.2.3\"")
    return found[0][1]["version"]


def check():
    version, faults, count = current(), [], 0
    for glob, pattern, least, _, found in places():
        count += len(found)
        if len(found) < least:
            faults.append(f"{glob}: {len(found)} places match {pattern.pattern!r}; {least} or more are expected")
        for file, match in found:
            if match["version"] != version:
                line = match.string.count("\n", 0, match.start()) + 1
                faults.append(f"{file.relative_to(ROOT)}:{line}: {match['version']}; ParallaxVersion is {version}")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if faults:
        sys.exit("error: the files disagree about the version; Scripts/version.py --write VERSION sets it everywhere")
    print(f"Version: {version} in {count} places")


def write(version):
    if not re.fullmatch(VERSION, version):
        sys.exit(f"error: '{version}' is no version: expected one such as 1.2.3 or 1.2.3-rc.1")
    for _, pattern, _, files, _ in places():
        for file in files:
            old = file.read_text(encoding="utf-8")
            new = pattern.sub(lambda match: match["before"] + version + match["behind"], old)
            if new != old:
                file.write_text(new, encoding="utf-8")
    check()


match sys.argv[1:]:
    case []:
        print(current())
    case ["--check"]:
        check()
    case ["--write", version]:
        write(version)
    case _:
        sys.exit(__doc__.splitlines()[-1])
