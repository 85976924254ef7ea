#!/usr/bin/env python3
"""Runs the cases of Autobahn|Testsuite against an echo server and prints a table: how many of each group came out how.

The cases are Autobahn's own, played by kosoku, since Autobahn's player needs Python 2. Fails unless each case is strictly right:
behavior OK, or informational where the case judges nothing, and a clean close. The server has to accept binary messages and
permessage-deflate.
Usage: websocket_conformance.py ws://HOST:PORT/PATH [CASE…], such as 6.* or 1.1.1
"""
import asyncio, collections, os, sys

from kosoku import FailureError, run_fuzzingclient
from kosoku.cases import CASES

GROUPS = {
    "1": "framing", "2": "pings and pongs", "3": "reserved bits", "4": "opcodes", "5": "fragmentation", "6": "UTF-8", "7": "closing",
    "9": "sizes and performance", "10": "automatic fragmentation", "12": "compression", "13": "parameters of compression"}


def fault(result):
    """What is not strictly right; None if all is."""
    behavior, close = result.behavior.value, result.behavior_close.value
    if behavior not in ("OK", "INFORMATIONAL"):
        return f"{behavior}: {result.result} Received {result.received!r:.200}"
    if close not in ("OK", "INFORMATIONAL"):
        return f"close {close}: {result.result_close}"
    return None


def on_bytes(take):
    """Mends kosoku: cases 12 and 13 hash bytes, and get a message that arrives uncompressed as text."""
    def take_bytes(case, message, binary):
        take(case, message.encode("latin-1" if binary else "utf-8") if isinstance(message, str) else message, binary)
    return take_bytes


for name, case in CASES.items():
    if name.startswith(("12.", "13.")):
        case.onMessage = on_bytes(case.onMessage)


async def main(url, *cases):
    try:
        results = await run_fuzzingclient(url, list(cases) or [f"{group}.*" for group in GROUPS], [], concurrency=4)
    except FailureError as failure:
        results = failure.results
    counts, faults = collections.defaultdict(collections.Counter), []
    for result in results:
        counts[result.case_id.split(".")[0]][result.behavior.value] += 1
        if words := fault(result):
            faults.append(f"FAILED {result.case_id}: {words}")
    print(f"\n{'group':<28}{'cases':>6}{'OK':>6}{'informational':>15}{'non-strict':>12}")
    for group, name in GROUPS.items():
        if count := counts[group]:
            columns = f"{count['OK']:>6}{count['INFORMATIONAL']:>15}{count['NON-STRICT']:>12}"
            print(f"{group + '. ' + name:<28}{count.total():>6}{columns}")
    print("\n".join([f"{len(results)} cases, {len(faults)} not strictly right", *faults]), flush=True)
    return 1 if faults or not results else 0


if len(sys.argv) < 2:
    sys.exit(__doc__)
# Not by sys.exit: a thread of kosoku's now and then aborts an interpreter that ends (status 134).
os._exit(asyncio.run(main(*sys.argv[1:])))
