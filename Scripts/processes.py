"""Processes on free ports of this machine, for scripts that show or measure a cluster."""
import http.client, json, os, socket, subprocess, time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def request(port, method, path, body=None, timeout=30, key=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read() or "null")
    finally:
        connection.close()


def ha_status(port):
    """A node's view of its cluster; None if it does not answer."""
    try:
        return request(port, "GET", "/ha/status", timeout=2)[1]
    except (OSError, ValueError, http.client.HTTPException):
        return None


def wait_until_whole(ports, limit=60):
    """Waits until all nodes see each other healthy and the same leader; returns that leader's index."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        seen = [ha_status(port) for port in ports]
        if all(s and s.get("leader") and [m["status"] for m in s["members"]] == ["healthy"] * len(ports) for s in seen):
            if len({s["leader"] for s in seen}) == 1:
                return int(seen[0]["leader"].rpartition("-")[2])
        time.sleep(0.02)
    raise SystemExit(f"not all nodes see each other healthy and the same leader after {limit} s")


class Processes:
    """The started processes: each writes its output to a file and is stopped by its process id."""

    def __init__(self, folder):
        self.folder, self.running = folder, {}

    def start(self, name, command, environment=None):
        output = open(self.folder / f"{name}.log", "ab")
        variables = {key: value for key, value in os.environ.items() if not key.startswith("PARALLAX_")}
        self.running[name] = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=self.folder, env={**variables, **(environment or {})})
        output.close()

    def kill(self, name):
        self.running[name].kill()
        self.running.pop(name).wait()

    def stop(self):
        for process in reversed(self.running.values()):
            process.terminate()
        for process in reversed(self.running.values()):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
