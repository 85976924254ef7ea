"""Processes on free ports of this machine, for scripts that show or measure a cluster."""
import http.client, json, os, socket, subprocess


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def request(port, method, path, body=None, timeout=30):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or "null")
    finally:
        connection.close()


class Processes:
    """Everything that is started, each with its output in a file, stopped by its process id."""

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
