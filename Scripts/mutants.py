#!/usr/bin/env python3
"""Plants known slips into a copy of the sources, and checks that each slip makes its suites fail.

Usage: Scripts/mutants.py [--list | --check] [--tree DIRECTORY] [--limit SECONDS] [NAME…]

Tests/Mutants/*.toml has one table for each slip:

    [name-of-the-slip]
    breaks = "the rule that the slip breaks"
    file = "Target/Folder/File.swift"       # below Sources, or a path that begins with Tests/
    suites = ["SuiteTests"]                 # at least one test of these has to fail; may be empty beside a scenario
    scenario = "name of a scenario"         # optional: the simulation of executions has to find the slip in it
    from = 'text that occurs in the file exactly once'
    to = 'its replacement'                  # PLANTED is true only in runs of this slip

One build contains all slips; an environment variable activates one. The copy is in .build/mutants or in the given directory; a later
call builds only changed files. A slip that no test notices survives. A slip that makes the test process trap or reach the limit counts
as not caught: a defect must fail its test in time.

Exits with 1 if a slip was not caught, with 2 if the table, the build or the suites without a slip are at fault.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

try:
    import tomllib
except ModuleNotFoundError:
    sys.exit("error: Scripts/mutants.py needs Python 3.11 or later")

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLES = ROOT / "Tests" / "Mutants"
VARIABLE = "PARALLAX_MUTANT"
SWITCH_FILE = "PlantedSlips.swift"
SWITCH = f"""\
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

private let planted = getenv("{VARIABLE}").map {{ String(cString: $0) }}

func isPlanted(_ slip: String) -> Bool {{ planted == slip }}
"""


def stop(*lines):
    for line in lines:
        print(f"error: {line}", file=sys.stderr)
    sys.exit(2)


def read_table():
    """All slips by name, each with its table."""
    slips, faults = {}, []
    keys = {"breaks": str, "file": str, "suites": list, "from": str, "to": str}
    optional = {"scenario": str}
    for path in sorted(TABLES.glob("*.toml")):
        place = path.relative_to(ROOT)
        try:
            table = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            stop(f"{place}: {error}")
        for name, slip in table.items():
            if name in slips:
                faults.append(f"{place}: [{name}] is also in {slips[name]['table']}")
            known = keys | optional
            if not keys.keys() <= slip.keys() <= known.keys() or not all(isinstance(slip[key], known[key]) for key in slip):
                faults.append(f"{place}: [{name}] needs the keys {', '.join(keys)}, and may have {', '.join(optional)}")
                continue
            if "PLANTED" not in slip["to"]:
                faults.append(f"{place}: [{name}] is active in every run: PLANTED is missing in its 'to'")
            if not slip["suites"] and "scenario" not in slip:
                faults.append(f"{place}: [{name}] needs a suite or a scenario that finds it")
            slips[name] = slip | {"table": place}
    if faults:
        stop(*faults)
    return slips


def planted_sources(slips):
    """The texts of the files with all slips planted, by path."""
    faults, sources = [], {}
    by_file = {}
    for name, slip in slips.items():
        path = slip["file"] if slip["file"].startswith("Tests/") else f"Sources/{slip['file']}"
        by_file.setdefault(path, []).append((name, slip))
    for path, entries in by_file.items():
        source = ROOT / path
        if not source.is_file():
            faults += [f"{slip['table']}: [{name}] is out of date: there is no {path}" for name, slip in entries]
            continue
        text = source.read_text()
        edits = []
        for name, slip in entries:
            count = text.count(slip["from"])
            if count != 1:
                faults.append(f"{slip['table']}: [{name}] is out of date: {path} has its 'from' {count} times, not once")
                continue
            begin = text.index(slip["from"])
            edits.append((begin, begin + len(slip["from"]), slip["to"].replace("PLANTED", f'isPlanted("{name}")'), name, slip))
        edits.sort(key=lambda edit: edit[0], reverse=True)
        for later, earlier in zip(edits, edits[1:]):
            if earlier[1] > later[0]:
                faults.append(f"{later[4]['table']}: [{later[3]}] and [{earlier[3]}] replace the same text of {path}")
        for begin, end, replacement, _, _ in edits:
            text = text[:begin] + replacement + text[end:]
        sources[path] = text
        sources["/".join(path.split("/")[:2]) + "/" + SWITCH_FILE] = SWITCH
    if faults:
        stop(*faults)
    return sources


def copy_tree(tree, sources):
    """Updates the copy; unchanged files keep their dates, so that they are not built again."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True)
    wanted = {path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()} | {"Package.resolved"} | sources.keys()
    for folder, folders, files in os.walk(tree):
        if pathlib.Path(folder) == tree:
            folders[:] = [name for name in folders if name not in (".build", ".git")]
        for name in files:
            path = pathlib.Path(folder, name)
            if str(path.relative_to(tree)) not in wanted:
                path.unlink()
    for path in wanted:
        source, copy = ROOT / path, tree / path
        if path not in sources and not source.is_file():
            continue
        data = sources[path].encode() if path in sources else source.read_bytes()
        if copy.is_file() and copy.read_bytes() == data:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(data)
        if source.is_file():
            shutil.copymode(source, copy)


def build(tree):
    """Builds the copy, and returns the command that runs its tests."""
    print(f"Building all slips in {tree}; the first build compiles everything.", flush=True)
    began = time.monotonic()
    run = subprocess.run(["swift", "build", "--build-tests"], cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode != 0:
        errors = [line for line in run.stdout.splitlines() if "error:" in line] or run.stdout.splitlines()[-20:]
        print("\n".join(dict.fromkeys(errors)), file=sys.stderr)
        stop("the slips do not compile")
    print(f"Built in {time.monotonic() - began:.0f} s.", flush=True)
    run = subprocess.run(["swift", "build", "--show-bin-path"], cwd=tree, check=True, capture_output=True, text=True)
    # A test program is run directly, which saves an examination of the package for each slip.
    programs = [path for path in pathlib.Path(run.stdout.strip()).glob("*PackageTests.xctest") if path.is_file()]
    if programs:
        return [str(programs[0]), "--testing-library", "swift-testing"]
    return ["swift", "test", "--skip-build", "--disable-xctest"]


class Outcome:
    """The result of a run of suites."""

    def __init__(self, output, status, seconds, is_over_limit):
        output = re.sub(r"\x1b\[[0-9;]*m", "", output)
        self.output, self.seconds = output, seconds
        names = re.findall(r"^✘ Test (?!run |case )(.+?)(?: with \d+ test cases?)? failed after", output, re.MULTILINE)
        self.failed = list(dict.fromkeys(names))
        issues = re.findall(r"^✘ Test .+ recorded an issue .*$", output, re.MULTILINE)
        self.is_by_time_limit = bool(issues) and all("Time limit was exceeded" in issue for issue in issues)
        ran = re.search(r"Test run with (\d+) tests?", output)
        self.count = int(ran[1]) if ran else None
        self.passed = status == 0 and self.count != 0
        if is_over_limit:
            self.fault = "CAUGHT ONLY BY THE LIMIT"
        elif self.count is None:
            signal_code = re.search(r"unexpected signal code (\d+)", output)
            number = signal_code[1] if signal_code else -status
            self.fault = f"TRAPPED, signal {number}" if signal_code or status < 0 else "BROKE OFF"
        else:
            self.fault = None

    @property
    def is_caught(self):
        return not self.passed and self.fault is None and bool(self.failed)

    def __str__(self):
        if self.fault:
            return self.fault
        if not self.is_caught:
            return "SURVIVED"
        more = f" and {len(self.failed) - 1} more" if len(self.failed) > 1 else ""
        return self.failed[0].strip('"') + more + (" (by its time limit)" if self.is_by_time_limit else "")


def run_suites(tree, tests, suites, slip, limit):
    environment = dict(os.environ, SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH="16")
    environment.pop(VARIABLE, None)
    if slip:
        environment[VARIABLE] = slip
    names = "|".join(re.escape(suite) for suite in sorted(suites))
    began = time.monotonic()
    process = subprocess.Popen(
        tests + ["--filter", rf"\.({names})/"], cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", start_new_session=True)
    is_over_limit = False
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        is_over_limit = True
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return Outcome(output, process.returncode, time.monotonic() - began, is_over_limit)


def run_scenario(tests, slip, scenario, limit):
    """The first seed with which the scenario breaks a promise, and the kind of that; None without. `slip` is None for none."""
    program = pathlib.Path(tests[0]).parent / "execution-simulation"
    environment = dict(os.environ, **({VARIABLE: slip} if slip else {}))
    try:
        run = subprocess.run(
            [program, "scenarios", *scenario.split()], env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    if run.returncode not in (0, 1):
        stop(f"execution-simulation: {run.stderr.strip()}")
    found = re.search(rf"^{re.escape(scenario)}, seed (\d+): (\w+)", run.stdout, re.MULTILINE)
    return f"seed {found[1]}: {found[2]}" if found else None


def check_unplanted(tree, tests, suites, limit):
    print(f"{len(suites)} suites without a slip:", flush=True)
    outcome = run_suites(tree, tests, suites, None, limit)
    if not outcome.passed:
        print("\n".join(line for line in outcome.output.splitlines() if line.startswith(("✘", "error"))), file=sys.stderr)
        stop("the suites fail without a slip: fix that first")
    print(f"{outcome.count} tests pass in {outcome.seconds:.0f} s.\n", flush=True)


def main():
    usage, _, _ = __doc__.partition("\n\nThe slips stand")
    parser = argparse.ArgumentParser(description=usage.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a slip, or the beginning of the names of several; all by default")
    parser.add_argument("--list", action="store_true", help="list the slips and what each breaks")
    parser.add_argument("--tree", type=pathlib.Path, default=ROOT / ".build" / "mutants", help="where the copy is made and built")
    parser.add_argument("--limit", type=float, default=180, help="seconds that the suites of one slip may take, 180 by default")
    parser.add_argument("--check", action="store_true", help="check that the slips fit the sources, and build nothing")
    arguments = parser.parse_args()

    slips = read_table()
    chosen = {name: slip for name, slip in slips.items() if not arguments.names or name.startswith(tuple(arguments.names))}
    for prefix in arguments.names:
        if not any(name.startswith(prefix) for name in slips):
            stop(f"no slip's name begins with {prefix}; --list shows all")
    width = max(len(name) for name in chosen)
    if arguments.list:
        for name, slip in chosen.items():
            print(f"{name:{width}}  {slip['breaks']}")
        return 0

    sources = planted_sources(slips)
    if arguments.check:
        print(f"{len(slips)} slips fit the sources.")
        return 0
    tree = arguments.tree.resolve()
    tree.mkdir(parents=True, exist_ok=True)
    copy_tree(tree, sources)
    tests = build(tree)
    for scenario in {slip["scenario"] for slip in chosen.values() if "scenario" in slip}:
        if found := run_scenario(tests, None, scenario, arguments.limit):
            stop(f"the scenario {scenario} fails without a slip, {found}: fix that first")
    suites = {suite for slip in chosen.values() for suite in slip["suites"]}
    if suites:
        check_unplanted(tree, tests, suites, max(arguments.limit, 900))

    suites_width = max(len(", ".join(slip["suites"])) for slip in chosen.values())
    print(f"{'slip':{width}}  {'suites':{suites_width}}  seconds  caught by")
    missed = []
    for name, slip in chosen.items():
        began, texts, are_caught = time.monotonic(), [], []
        if slip["suites"]:
            outcome = run_suites(tree, tests, slip["suites"], name, arguments.limit)
            texts.append(str(outcome))
            are_caught.append(outcome.is_caught)
        if scenario := slip.get("scenario"):
            found = run_scenario(tests, name, scenario, arguments.limit)
            texts.append(f"{scenario}, {found}" if found else f"NOT FOUND in the scenario {scenario}")
            are_caught.append(found is not None)
        print(f"{name:{width}}  {', '.join(slip['suites']):{suites_width}}  {time.monotonic() - began:7.1f}  {'; '.join(texts)}", flush=True)
        if not all(are_caught):
            missed.append(name)
    print(f"\n{len(chosen) - len(missed)} of {len(chosen)} slips are caught.")
    for name in missed:
        print(f"not caught: {name}, which breaks: {chosen[name]['breaks']}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
