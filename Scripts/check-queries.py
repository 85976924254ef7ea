#!/usr/bin/env python3
"""Asks a real Prometheus, which scrapes a node at work, each query of the dashboards, the rules and the pages: each parses, and has data.

Usage: Scripts/check-queries.py FOLDER_OF_EXECUTABLES
Needs redis-server, prometheus, and the test environment of Scripts/install-test-tools.sh. Stops everything that it started.
"""
import http.client, json, pathlib, re, sys, tempfile, time, urllib.parse

from processes import Processes, free_port, request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".build/test-venv/bin/python"
PAGES = ("docs/operations/monitoring.md", "docs/operations/metrics.md")
# These have labels and no series before their first event, which is a fault or the loss of a node.
WITHOUT_DATA = ("parallax_agent_faults_total", "parallax_executions_recovered_total")
LIMIT = 30


def queries():
    """The queries, each with the place where it stands."""
    for file in sorted((ROOT / "deploy/grafana").glob("*.json")):
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            for target in panel.get("targets", []):
                yield f"{file.relative_to(ROOT)}: {panel['title']}", target["expr"].replace("$job", "parallax")
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for block in re.findall(r"^```promql\n(.*?)^```", text, re.S | re.M):
            yield page, block.strip()
        for span in re.findall(r"(?<!`)`([^`\n]*\b(?:parallax|process)_[a-z_]+[^`\n]*)`(?!`)", text):
            # A name alone is no query, and a line of a table of metrics has no parentheses.
            if re.search(r"[({]", span):
                yield page, span


def wait(what, condition):
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            if condition():
                return
        except (OSError, ValueError, LookupError, http.client.HTTPException):
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"error: {what}: not after {LIMIT} s")
        time.sleep(0.1)


def work(port, processes, folder, binaries):
    """Starts a node on Redis with an agent, and gives it executions, of which one waits."""
    redis = free_port()
    processes.start("redis", ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)])
    processes.start("node", [binaries / "parallaxd", "--port", str(port), "--patterns", ROOT / "patterns"], {
        "PARALLAX_REDIS_URL": f"redis://127.0.0.1:{redis}", "PARALLAX_HA_ENABLED": "true", "PARALLAX_HA_LEASE_DURATION": "1s"})
    wait("the node leads", lambda: request(port, "GET", "/ha/status")[1]["leader"])
    processes.start("agent", [
        PYTHON, ROOT / "Examples/python-agent/agent.py", "--url", f"ws://127.0.0.1:{port}/ws/agent", "--capability", "classification"])
    wait("the agent is there", lambda: request(port, "GET", "/api/agents")[1]["connected"])
    for _ in range(10):
        request(port, "POST", "/api/patterns/content-classifier/execute", {"input": {"text": "Is it?"}})
    request(port, "POST", "/api/patterns/document-analysis/execute?async=true", {"input": {"text": "waits"}, "options": {"timeout": "10m"}})


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.rpartition("\n\n")[2])
    with tempfile.TemporaryDirectory(prefix="parallax-queries-") as folder:
        folder = pathlib.Path(folder)
        processes, port, prometheus = Processes(folder), free_port(), free_port()
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(ROOT / "deploy/prometheus/*.rules.yml")],
            "scrape_configs": [{"job_name": "parallax", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]}))

        def ask(path):
            return request(prometheus, "GET", f"/api/v1/{path}")[1]["data"]

        def result(query):
            return ask(f"query?query={urllib.parse.quote(query)}")["result"]

        try:
            work(port, processes, folder, pathlib.Path(sys.argv[1]).resolve())
            processes.start("prometheus", [
                "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{prometheus}"])
            # A rate needs two samples.
            wait("there are samples", lambda: float(result('count_over_time(up{job="parallax"}[1m])')[0]["value"][1]) >= 3)
            faults, count = [], 0
            for place, query in queries():
                count += 1
                status, answer = request(prometheus, "GET", f"/api/v1/query?query={urllib.parse.quote(query)}")
                if status != 200:
                    faults.append(f"{place}: {query}: {answer['error']}")
                elif not answer["data"]["result"] and not any(name in query for name in WITHOUT_DATA):
                    faults.append(f"{place}: {query}: no data")
            rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
            wait("the rules are evaluated", lambda: all(r["health"] != "unknown" for g in ask("rules")["groups"] for r in g["rules"]))
            faults += [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule.get("lastError")]
        finally:
            processes.stop()
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if faults:
        sys.exit(f"error: {len(faults)} queries have no data")
    print(f"Queries: {count} have data, {len(rules)} rules are evaluated")


if __name__ == "__main__":
    main()
