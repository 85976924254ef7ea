#!/usr/bin/env python3
"""Checks that the references of Markdown pages exist: files and headings of links, paths in code spans, targets of make, scripts, tests;
and that each page of docs is one to which another page leads.

In tables also the names below these headings: "slips", of Tests/Mutants, and "found", of these or the simulator; "scenario", of the simulator's scenarios and mixes, or suites;
"corpus", of its corpus; "test", suites of Tests/SystemTests with the tests' names.

Each alert and each check of the diagnosis has a section in the guide with a cause, a way to see it, a command that mends it, and a link; each
such section has its alert or check, and the annotation of an alert names its own section. Keys of the configuration and metrics are those of
their references. A block below `<!-- from: FILE -->` stands in that file.

Prints each violation and fails if there is one. Reads only the files that git tracks or would add; uses no network.
Usage: Scripts/check-pages.py
"""
import os, pathlib, re, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^( *)```.*?^\1``` *$", re.S | re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
# A path has a folder and consists of ordinary names; a pattern, a URL, a DocC symbol or a Redis command has other characters.
PATH = re.compile(r"\.?[A-Za-z][\w+-]*(?:/[\w.+-]+)+/?")
# A suite of tests, by its type or file, with a function or a sentence as the test's name.
SUITE = re.compile(r"`([A-Z]\w*Tests)(?:\.(\w+))?`(?: \"([^\"\n]+)\")?")
# A test of the system suites: the suite, and the test's name up to the next one or the end of the cell.
SYSTEM_TEST = re.compile(r"`(\w+)`: ([^;|]+)")
# Folders from which pages name files in short.
PREFIXES = ("", "Sources/", "docs/")
# First parts of names with a slash that are no tracked paths: media types, paths of HTTP, results of a build.
FOREIGN = {"text", "application", "ha", "health", "api", ".build"}


# A block that stands in a file, of which the space may differ.
EXCERPT = re.compile(r"^<!-- from: (\S+) -->\n```\w*\n(.*?)^```", re.S | re.M)
RULES = re.compile(r"deploy/prometheus/[\w-]+\.rules\.yml")
ALERTS, FINDINGS = "docs/operations/alerts.md", "docs/operations/troubleshooting.md"
CHECKS = "Sources/ParallaxControlPlane/Diagnosis/DiagnosisCheck.swift"
# Keys of patterns, which have a section with the name of one of the configuration.
PATTERN_KEYS = {"agents.min", "agents.max", "agents.capabilities"}
# What a remedy may begin with, to be a command and not a name.
COMMANDS = ("parallax ", "parallaxd ", "redis-cli ", "systemctl ", "timedatectl ", "sysctl ", "promtool ", "journalctl ", "curl ", "dmesg")


def tracked():
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True)
    files = {name for name in names.stdout.splitlines() if (ROOT / name).exists()}
    folders = {str(parent) for name in files for parent in pathlib.PurePosixPath(name).parents}
    return files, folders


def suites(files):
    """The sources of the tests, by the names of their files and types."""
    found = {}
    for name in files:
        if re.match(r"Tests/.*\.swift$", name):
            text = (ROOT / name).read_text(encoding="utf-8")
            for suite in {pathlib.PurePosixPath(name).stem, *re.findall(r"\b(?:struct|enum|class|extension) (\w+Tests)\b", text)}:
                found[suite] = found.get(suite, "") + text
            if name.startswith("Tests/SystemTests/"):
                for suite in re.findall(r"^  struct (\w+)\b", text, re.M):
                    found[f"SystemTests.{suite}"] = text
    return found


def slug(heading):
    """The anchor that GitHub makes of a heading."""
    text = re.sub(r"\]\([^)]*\)|[`*\[\]]", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def names(files):
    """Predicates for the names in tables, by the heading of the column: each is true for a name that exists."""
    def read(pattern):
        return {name: (ROOT / name).read_text(encoding="utf-8") for name in files if re.fullmatch(pattern, name)}

    slips = {slip for text in read(r"Tests/Mutants/\w+\.toml").values() for slip in re.findall(r"^\[([\w-]+)\]$", text, re.M)}
    simulator = "".join(read(r"Tests/ExecutionSimulation/[\w+]+\.swift").values())
    scenarios = set(re.findall(r"\bExecution(?:Scenario|Mix)\(\s*\"([^\"]+)\"", simulator)) | suites(files).keys()
    corpus = {pathlib.PurePosixPath(name).stem for name in files if name.startswith("Tests/ExecutionSimulationTests/Corpus/")}
    return {"slip": slips, "slips": slips, "found": slips | scenarios, "scenario": scenarios, "corpus": corpus}


def tables(text):
    """The cells of a page's tables, each with the heading of its column."""
    heads = None
    for line in text.splitlines():
        if not line.startswith("|"):
            heads = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if heads is None:
            heads = cells
        elif not set("".join(cells)) <= set("-: "):
            yield from zip(heads, cells)


def guide_faults(texts, files, checks):
    """The faults of the sections for alerts and for checks of the diagnosis."""
    rules = "".join((ROOT / name).read_text(encoding="utf-8") for name in sorted(files) if RULES.fullmatch(name))
    wanted = {ALERTS: re.findall(r"^ *- alert: *(\w+)", rules, re.M), FINDINGS: checks}
    for page, names in wanted.items():
        sections = dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", texts[page], re.M | re.S))
        for name in names:
            if name not in sections:
                yield f"{page}: there is no section {name}"
        for name, section in sections.items():
            if name not in names:
                yield f"{page}: the section {name} has no alert or check"
            items = dict(re.findall(r"^- \*\*(\w+)\.\*\* (.*?)(?=^- \*\*|\Z)", section, re.M | re.S))
            if list(items) != ["Cause", "See", "Mend"]:
                yield f"{page}: the section {name} has not the items Cause, See and Mend"
            for item in ("See", "Mend"):
                if not any(span.startswith(COMMANDS) for span in SPAN.findall(items.get(item, ""))):
                    yield f"{page}: {item} of the section {name} has no command"
            if not LINK.search(section):
                yield f"{page}: the section {name} has no link"
    for alert, text in re.findall(r"^ *- alert: *(\w+)(.*?)(?=^ *- alert:|\Z)", rules, re.M | re.S):
        runbook = re.search(r"^ *runbook_url: *(https://\S+)", text, re.M)
        if runbook and not runbook[1].endswith(f"/{ALERTS}#{slug(alert)}"):
            yield f"deploy/prometheus: the runbook_url of {alert} is not that of {ALERTS}#{slug(alert)}"


def reference_faults(prose, texts, checks):
    """The names of configuration keys and metrics on pages that their references do not have."""
    keys = set(re.findall(r"^\| `([\w.]+)` \|", texts["docs/operations/configuration.md"], re.M))
    sections = {key.split(".")[0] for key in keys}
    parents = {key.rsplit(".", depth)[0] for key in keys for depth in range(1, key.count(".") + 1)}
    metrics = set(re.findall(r"^\| `(parallax_\w+)` \|", texts["docs/operations/metrics.md"], re.M))
    for page, text in prose.items():
        # Pages of DocC and decisions speak of fields of values, the changelog of what was.
        if ".docc/" in page or "docs/decisions/" in page or page == "CHANGELOG.md":
            continue
        for span in SPAN.findall(text):
            # The page on Kubernetes has values of the chart, which its schema checks.
            key = page != "docs/operations/kubernetes.md" and re.match(r"[a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)+(?=$|[:= ])", span)
            if key and key[0].split(".")[0] in sections and key[0] not in keys | parents | PATTERN_KEYS | set(checks):
                yield f"{page}: there is no configuration key {key[0]}"
            for metric in re.findall(r"\bparallax_[a-z]+_[a-z_]+", span):
                if metric not in metrics and re.sub(r"_(bucket|count|sum)$", "", metric) not in metrics:
                    yield f"{page}: there is no metric {metric}"


def main():
    files, folders = tracked()
    pages = sorted(name for name in files if name.endswith(".md"))
    texts = {page: (ROOT / page).read_text(encoding="utf-8") for page in pages}
    prose = {page: FENCE.sub("", text) for page, text in texts.items()}
    anchors = {page: {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)} for page, text in prose.items()}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    faults, checked, tests, known, linked = [], 0, suites(files), names(files), set()
    system = {name: text for name, text in tests.items() if name.startswith("SystemTests.")}

    def check(page, found, what):
        nonlocal checked
        checked += 1
        if not found:
            faults.append(f"{page}: {what}")

    for page in pages:
        folder = os.path.dirname(page)
        for link in LINK.findall(prose[page]):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = os.path.normpath(os.path.join(folder, path)) if path else page
            check(page, target in files or target in folders, f"the link {link} leads to no file")
            if target != page:
                linked.add(target)
            if anchor and target in anchors:
                check(page, anchor in anchors[target], f"the link {link} leads to no heading")
        for suite, function, sentence in SUITE.findall(prose[page]):
            text = tests.get(suite, "")
            exists = f"func {function}(" in text if function else not sentence or sentence in text
            check(page, text and exists, f"there is no test {suite} {function or sentence}")
        for head, cell in tables(prose[page]):
            for name in SPAN.findall(cell) if head in known else []:
                check(page, name in known[head], f"there is no {head} {name}")
            for suite, sentences in SYSTEM_TEST.findall(cell) if head == "test" else []:
                check(page, sentences.strip() in system.get(f"SystemTests.{suite}", ""), f"there is no test {suite}: {sentences}")
        for span in SPAN.findall(prose[page]):
            # Pages of DocC name symbols with a slash; their links are checked by docc.
            if PATH.fullmatch(span) and span.split("/")[0] not in FOREIGN and ".docc/" not in page:
                name = span.rstrip("/")
                found = any(prefix + name in files or prefix + name in folders for prefix in PREFIXES) or os.path.join(folder, name) in files
                check(page, found, f"the path {span} does not exist")
            if make := re.match(r"make ([a-z-]+)", span):
                check(page, make[1] in targets, f"the Makefile has no target {make[1]}")
        for name, block in EXCERPT.findall(texts[page]):
            source = (ROOT / name).read_text(encoding="utf-8") if name in files else ""
            check(page, " ".join(block.split()) in " ".join(source.split()), f"the block is no part of {name}")
        for script in re.findall(r"\b((?:Scripts|Benchmarks)/[\w-]+\.(?:sh|py))\b", texts[page]):
            check(page, script in files, f"the script {script} does not exist")

    for page in pages:
        if page.startswith("docs/"):
            checked += 1
            if page not in linked:
                faults.append(f"{page}: no other page leads there")
    checks = re.findall(r"^ *case \w+ = \"([\w.-]+)\"", (ROOT / CHECKS).read_text(encoding="utf-8"), re.M)
    faults += [*guide_faults(texts, files, checks), *reference_faults(prose, texts, checks)]
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if faults:
        sys.exit(f"error: {len(faults)} names on pages do not exist")
    print(f"Pages: {checked} links, paths and commands on {len(pages)} pages exist")


main()
