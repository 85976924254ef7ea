#!/usr/bin/env python3
"""Runs the cases of Autobahn|Testsuite against an echo server and prints a table: how many of each group came out how.

The cases are Autobahn's own, played by kosoku, since Autobahn's player needs Python 2. Fails unless each case is strictly right:
behavior OK, or informational where the case judges nothing, and a clean close. Cases with binary messages have to be refused with 1003,
since the agent protocol is text.
Usage: websocket_conformance.py ws://HOST:PORT/PATH [CASE…], such as 6.* or 1.1.1
"""
import asyncio, collections, re, sys

from kosoku import FailureError, run_fuzzingclient

GROUPS = {
    "1": "framing", "2": "pings and pongs", "3": "reserved bits", "4": "opcodes", "5": "fragmentation", "6": "UTF-8", "7": "closing",
    "9": "sizes and performance", "10": "automatic fragmentation"}
BINARY = re.compile(r"1\.2\.|9\.[2468]\.")


def fault(result):
    """What is not strictly right; None if all is."""
    if BINARY.match(result.case_id):
        code = result.remote_close_code
        return None if code == 1003 else f"a binary message is answered by {code}, not by 1003"
    behavior, close = result.behavior.value, result.behavior_close.value
    if behavior not in ("OK", "INFORMATIONAL"):
        return f"{behavior}: {result.result} Received {result.received!r:.200}"
    if close not in ("OK", "INFORMATIONAL"):
        return f"close {close}: {result.result_close}"
    return None


async def main(url, *cases):
    try:
        results = await run_fuzzingclient(url, list(cases) or [f"{group}.*" for group in GROUPS], [], concurrency=4)
    except FailureError as failure:
        results = failure.results
    counts, faults = collections.defaultdict(collections.Counter), []
    for result in results:
        counts[result.case_id.split(".")[0]]["1003" if BINARY.match(result.case_id) else result.behavior.value] += 1
        if words := fault(result):
            faults.append(f"FAILED {result.case_id}: {words}")
    print(f"\n{'group':<28}{'cases':>6}{'OK':>6}{'informational':>15}{'non-strict':>12}{'binary refused':>16}")
    for group, name in GROUPS.items():
        if count := counts[group]:
            columns = f"{count['OK']:>6}{count['INFORMATIONAL']:>15}{count['NON-STRICT']:>12}{count['1003']:>16}"
            print(f"{group + '. ' + name:<28}{count.total():>6}{columns}")
    print("\n".join([f"{len(results)} cases, {len(faults)} not strictly right", *faults]), flush=True)
    return 1 if faults or not results else 0


if len(sys.argv) < 2:
    sys.exit(__doc__)
sys.exit(asyncio.run(main(*sys.argv[1:])))
