"""Holds a node against its own description; started by test-openapi.sh, in its environment."""
import argparse, http.client, json, pathlib, subprocess, sys, tempfile, time
from openapi_spec_validator import validate
from processes import Processes, free_port, request

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHECKS = ROOT / "Scripts/schemathesis.toml"
KEY = "key-of-the-test-of-the-description-0123456789"
AGENT_KEY = "key-of-the-agent-of-that-test-0123456789"
CONFIGURATION = """
executions: { agentWait: 50ms, defaultTimeout: 1s }
highAvailability: { leaderElection: { leaseDuration: 500ms } }
security: { authentication: { apiKeys: [{ name: test, key: %s, scopes: [admin] }, { name: agent, key: %s, scopes: [agent] }] } }
""" % (KEY, AGENT_KEY)
# These do not end, last as long as the query says, or are no HTTP.
STREAMS = ["/api/events", "/api/debug/log", "/ws/agent"]


def started(port, limit=20):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        try:
            if request(port, "GET", "/health/ready", timeout=2)[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    raise SystemExit(f"the node is not ready after {limit} s")


def close(schema):
    """Forbids the members that a schema does not name: an answer with an undocumented member fails here, while clients ignore it."""
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            close(value)
    elif isinstance(schema, list):
        for value in schema:
            close(value)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("--examples", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "parallax.config.yaml").write_text(CONFIGURATION)
        port, processes = free_port(), Processes(folder)
        try:
            daemon = [arguments.binaries / "parallaxd", "--config", folder / "parallax.config.yaml", "--port", str(port)]
            processes.start("node", [str(word) for word in daemon] + ["--log-level", "warning", "--patterns", str(ROOT / "patterns")])
            started(port)
            agent = [sys.executable, ROOT / "Examples/python-agent/agent.py", "--url", f"ws://127.0.0.1:{port}/ws/agent"]
            for capability in ["analysis", "classification", "0"]:
                agent += ["--capability", capability]
            processes.start("agent", [str(word) for word in agent], {"PARALLAX_API_KEY": AGENT_KEY})
            document = request(port, "GET", "/openapi.json")[1]
            validate(document)
            paths = document["paths"]
            print(f"The description is valid OpenAPI {document['openapi']}: {sum(len(item) for item in paths.values())} operations.")
            close(document["components"])
            (folder / "openapi.json").write_text(json.dumps(document))
            command = [
                str(pathlib.Path(sys.executable).parent / "schemathesis"), "--config-file", str(CHECKS), "run",
                str(folder / "openapi.json"), "--url", f"http://127.0.0.1:{port}", "--header", f"Authorization: Bearer {KEY}", "--no-color",
                "--max-examples", str(arguments.examples), "--suppress-health-check", "all", "--request-timeout", "20",
                "--seed", "1"]
            for path in STREAMS:
                command += ["--exclude-path", path]
            status = subprocess.run(command, cwd=folder).returncode
            started(port)
            if status:
                sys.stdout.write((folder / "node.log").read_text()[-4000:])
                raise SystemExit(1)
        finally:
            processes.stop()


main()
