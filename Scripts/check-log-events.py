#!/usr/bin/env python3
"""Compares docs/operations/log.md with the sources: each event that a node logs at info or above has its row, with its level, and each row its event.

Usage: Scripts/check-log-events.py [--list]    --list prints the events of the sources"""
import pathlib, re, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/operations/log.md"
# The modules of a node and of its witness; agents and the command line tool have logs of their own.
MODULES = ["parallaxd", "parallax-witness", "ParallaxControlPlane", "ParallaxServer", "ParallaxHA", "ParallaxRedis", "ParallaxRedisStores",
           "ParallaxWitness"]
LEVELS = "info|notice|warning|error|critical"
CALL = re.compile(rf"\blogger\.(?:({LEVELS})|log\(\s*level: ([^\"]*?),)\s*\(?\s*([^\"()]*?)\"((?:[^\"\\]|\\\([^()]*(?:\([^()]*\))?[^()]*\)|\\.)*)\"(?:\s*:\s*\"((?:[^\"\\]|\\.)*)\")?")
ROW = re.compile(rf"^\| (.+?) \| ((?:{LEVELS})(?:, (?:{LEVELS}))*) \|", re.M)


def shown(text):
    return re.sub(r"\\\(.*?\)(?=[^)]|$)", "…", text).replace('\\"', '"')


def events():
    found = {}
    for module in MODULES:
        for file in sorted((ROOT / "Sources" / module).rglob("*.swift")):
            text = file.read_text(encoding="utf-8")
            for call in CALL.finditer(text):
                levels = {call[1]} if call[1] else set(re.findall(rf"\.({LEVELS})\b", call[2])) or {"computed"}
                for message in filter(None, (call[4], call[5])):
                    entry = found.setdefault(shown(message), (set(), str(file.relative_to(ROOT))))
                    entry[0].update(levels)
    return found


def main():
    sources = events()
    if "--list" in sys.argv:
        for message, (levels, file) in sources.items():
            print(f"{message} | {', '.join(sorted(levels))} | {file}")
        return 0
    rows = {message: set(levels.split(", ")) for message, levels in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    faults = [f"{file}: the event \"{message}\" has no row in {PAGE.relative_to(ROOT)}" for message, (_, file) in sources.items() if message not in rows]
    faults += [f"{PAGE.relative_to(ROOT)}: nothing logs \"{message}\"" for message in rows if message not in sources]
    for message, levels in rows.items():
        known = sources.get(message, (levels, ""))[0]
        if known not in (levels, {"computed"}):
            faults.append(f"{PAGE.relative_to(ROOT)}: \"{message}\" is logged at {', '.join(sorted(known))}")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if not faults:
        print(f"Log: {len(rows)} events are documented, at the levels of the sources")
    return 1 if faults else 0


sys.exit(main())
