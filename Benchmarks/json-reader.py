#!/usr/bin/env python3
"""Time of reading JSON against depth, size and number: the product's reader, Foundation's JSONSerialization and Python's json.

Compiles Sources/ParallaxAPI with the measuring program (swiftc, optimized; no dependency is built) and prints one table.
Usage: Benchmarks/json-reader.py
"""
import glob
import json
import os
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
READERS = ["Parallax", "Parallax, limit 64", "JSONSerialization", "Python"]
TEXTS = {
    "depth of arrays": lambda n: "[" * n + "]" * n,
    "depth of objects": lambda n: '{"a":' * n + "1" + "}" * n,
    "bytes of one string": lambda n: '"' + "x" * n + '"',
    "numbers": lambda n: "[" + ",".join(f"{i}.5" for i in range(n)) + "]",
    "members": lambda n: "{" + ",".join(f'"member{i}":{i}' for i in range(n)) + "}",
    "heartbeats": lambda n: "["
    + ",".join(
        [
            '{"type":"heartbeat","id":"m1","payload":{"status":"idle","activeTasks":[],'
            '"metrics":{"cpu":0.25,"memory":1048576}}}'
        ]
        * n
    )
    + "]",
}


def python_time(text):
    def once():
        start = time.perf_counter()
        try:
            json.loads(text)
        except RecursionError:
            pass
        return time.perf_counter() - start

    once()
    repeats = max(1, min(2000, int(0.02 / max(once(), 1e-7))))
    rounds = []
    for _ in range(5):
        rounds.append(sum(once() for _ in range(repeats)) / repeats)
    return sorted(rounds)[2] * 1e6


def main():
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "json-bench")
        sources = sorted(glob.glob(os.path.join(ROOT, "Sources/ParallaxAPI/**/*.swift"), recursive=True))
        features = ["ExistentialAny", "MemberImportVisibility", "InternalImportsByDefault"]
        flags = [word for feature in features for word in ("-enable-upcoming-feature", feature)]
        subprocess.run(
            ["swiftc", "-O", "-wmo", "-swift-version", "6", "-package-name", "bench", *flags, "-o", program, *sources]
            + [os.path.join(ROOT, "Benchmarks/JSON/main.swift")],
            check=True,
        )
        output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    rows = {}
    for line in output.splitlines():
        series, size, count, reader, microseconds = line.split("\t")
        rows.setdefault((series, int(size), int(count)), {})[reader] = float(microseconds)
    print("microseconds to read one text\n")
    print(f"{'series':<22}{'size':>9}{'bytes':>10}" + "".join(f"{reader:>20}" for reader in READERS))
    for (series, size, count), times in rows.items():
        times["Python"] = python_time(TEXTS[series](size))
        print(f"{series:<22}{size:>9}{count:>10}" + "".join(f"{times[reader]:>20.1f}" for reader in READERS))


main()
