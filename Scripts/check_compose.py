#!/usr/bin/env python3
"""Checks deploy/docker and deploy/compose. Scripts/check-deploy.sh calls it with its tools.

No container runs: with parallaxd, HAProxy and a Redis server the services of compose.yaml run as processes, each node on an address of its
own in 127.0.0.0/8, and a name server answers as Docker's does. They are scaled from three nodes to five and to two under load.
Usage: check_compose.py [--write] [FOLDER], where FOLDER has parallaxd and parallax, and --write updates deploy/compose/haproxy.cfg
"""
import http.client, pathlib, re, shutil, socket, ssl, subprocess, sys, tempfile, threading, time

import yaml

from processes import Processes, free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER, CHART = ROOT / "deploy/compose", ROOT / "deploy/helm/parallax-control-plane"
HAPROXY = FOLDER / "haproxy.cfg"
# The differences between the configuration that Scripts/test-proxies.sh tests and the one of compose.yaml.
PROXY_CHANGES = [
    ("# Parallax behind HAProxy. docs/operations/proxies.md: requirements, tested versions, restarts.\n", """\
# HAProxy of compose.yaml. Made from deploy/proxies/haproxy by Scripts/check-deploy.sh --write: change that instead.

# Docker's name server knows the nodes that run. A node joins a second after it has come; one that stops has left by its failing check.
resolvers docker
  nameserver dns 127.0.0.11:53
  accepted_payload_size 8192
  timeout resolve 1s
  timeout retry 1s
  hold valid 1s
"""),
    ("bind :80\n", "bind :8080\n"),
    ("bind :443 ssl crt /etc/haproxy/parallax.pem", "bind :8443 ssl crt /run/secrets/proxy.pem"),
    ("""\
  server node-0 10.0.0.11:8080
  server node-1 10.0.0.12:8080
  server node-2 10.0.0.13:8080
""", """\
  # Places for as many nodes as there may be; HAProxy starts without any.
  server-template node- 16 control-plane:8080 resolvers docker resolve-prefer ipv4 init-addr none
"""),
]
faults = []


def fault(place, text):
    faults.append(f"{place}: {text}")


def replaced(text, old, new):
    if text.count(old) != 1:
        raise SystemExit(f"error: the text has {old!r} {text.count(old)} times, not once")
    return text.replace(old, new)


def settings():
    lines = (FOLDER / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def interpolated(value, variables, used):
    """The value as Compose reads it: ${NAME}, ${NAME:-default}, ${NAME:?}, and $$ for $."""
    if isinstance(value, dict):
        return {key: interpolated(part, variables, used) for key, part in value.items()}
    if isinstance(value, list):
        return [interpolated(part, variables, used) for part in value]
    if not isinstance(value, str):
        return value

    def substitute(match):
        if match.group() == "$$":
            return "$"
        used.add(match["name"])
        if match["name"] not in variables and match["default"] is None:
            fault("compose.yaml", f"{match['name']} is neither in .env nor has it a default")
        return variables.get(match["name"]) or match["default"] or ""

    return re.sub(r"\$\$|\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?)?\}", substitute, value)


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def check_files(write):
    """The files against each other; returns the services as Compose reads them."""
    variables, used = settings(), set()
    compose = interpolated(yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8")), variables, used)
    for name in variables.keys() - used:
        fault(".env", f"{name} is not used")
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    if variables["PARALLAX_VERSION"] != yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]:
        fault(".env", "PARALLAX_VERSION is not the version of the chart")
    if variables["VALKEY_VERSION"] != values["redis"]["image"]["tag"]:
        fault(".env", "VALKEY_VERSION is not the version of the chart")
    text = (ROOT / "deploy/proxies/haproxy/haproxy.cfg").read_text(encoding="utf-8")
    for old, new in PROXY_CHANGES:
        text = replaced(text, old, new)
    if write:
        HAPROXY.write_text(text, encoding="utf-8")
    elif HAPROXY.read_text(encoding="utf-8") != text:
        fault("haproxy.cfg", "is not made from deploy/proxies/haproxy/haproxy.cfg; run Scripts/check-deploy.sh --write")
    for name, service in compose["services"].items():
        for key, wanted in {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}.items():
            if service.get(key) != wanted:
                fault(f"compose.yaml: {name}", f"{key} must be {wanted}")
        for kind in ("configs", "secrets"):
            for part in service.get(kind, []):
                if (part["source"] if isinstance(part, dict) else part) not in compose[kind]:
                    fault(f"compose.yaml: {name}", f"{kind} has no {part}")
        for key in service.get("environment", {}):
            if re.search(r"(PASSWORD|SECRET|KEY)$", key):
                fault(f"compose.yaml: {name}", f"{key} must come from a file")
    node = compose["services"]["control-plane"]
    if "ports" in node or "container_name" in node:
        fault("compose.yaml: control-plane", "a published port or a fixed name allows one container only")
    config = yaml.safe_load((FOLDER / "parallax.config.yaml").read_text(encoding="utf-8"))
    if seconds(node["stop_grace_period"]) < seconds(config["server"]["drainDelay"]) + seconds(config["server"]["drainTimeout"]) + 15:
        fault("compose.yaml: control-plane", "stop_grace_period is shorter than drainDelay, drainTimeout and 15 s")
    return compose, variables


def check_image():
    """The image's user is the chart's, and the build has every folder that the package names."""
    text = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
    user = re.search(r"runAsUser: (\d+)", (CHART / "templates/statefulset.yaml").read_text(encoding="utf-8"))[1]
    stages = re.split(r"^FROM .* AS (.*)$", text, flags=re.M)[1:]
    for name, lines in zip(stages[::2], stages[1::2]):
        if name in ("slim", "static") and (f"USER {user}:{user}\n" not in lines or "\nHEALTHCHECK " not in lines):
            fault(f"Dockerfile: {name}", f"needs the user {user}:{user}, the chart's, and a health check")
    kept = re.findall(r"^!(.*)$", (ROOT / "deploy/docker/Dockerfile.dockerignore").read_text(encoding="utf-8"), flags=re.M)
    package = (ROOT / "Package.swift").read_text(encoding="utf-8")
    for path in {"Package.swift", "Sources", "Tests", *(found.split("/")[0] for found in re.findall(r'path: "([^"]+)"', package))}:
        if path not in kept or not (ROOT / path).exists():
            fault("Dockerfile.dockerignore", f"the build needs {path}")


# The services as processes.

class NameServer(threading.Thread):
    """Answers the addresses of the nodes that run, as Docker's name server does for the name of a service."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port, self.addresses = self.socket.getsockname()[1], []

    def run(self):
        while True:
            query, sender = self.socket.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            addresses = list(self.addresses) if query[end - 4:end - 2] == b"\0\1" else []
            answer = query[:2] + b"\x81\x80" + query[4:6] + len(addresses).to_bytes(2, "big") + bytes(4) + query[12:end]
            for address in addresses:
                answer += b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(address)
            self.socket.sendto(answer, sender)


class Callers(threading.Thread):
    """Sends a request after the other, by HTTP and HTTPS; those that HAProxy may not repeat too."""

    def __init__(self, site, path):
        super().__init__()
        self.site, self.method, self.path = site, *path
        self.answered, self.failed, self.ended = 0, [], threading.Event()

    def run(self):
        while not self.ended.is_set():
            for secure in (False, True):
                try:
                    status = self.site.request(self.method, self.path, secure)
                    if status >= 500:
                        raise OSError(f"status {status}")
                    self.answered += 1
                except (OSError, http.client.HTTPException) as error:
                    self.failed.append(f"{self.method} {self.path}: {error!r}")


class Site:
    def __init__(self, folder, programs, compose, variables):
        self.folder, self.programs = folder, programs
        self.processes, self.names, self.nodes = Processes(folder), NameServer(), []
        self.environment = {"PARALLAX_PUBLIC_NAME": variables["PARALLAX_PUBLIC_NAME"]}
        self.ports = {":8080": free_port(), ":8443": free_port()}
        shutil.copy(FOLDER / "make-secrets.sh", folder)
        subprocess.run([folder / "make-secrets.sh", "parallax.example.org"], check=True)
        self.secrets = folder / "secrets"
        self.key = (self.secrets / "admin-key").read_text().strip()
        self.authority = ssl.create_default_context(cafile=self.secrets / "certificate.pem")
        self.start_redis(compose["configs"]["redis"]["content"])
        text = replaced((FOLDER / "parallax.config.yaml").read_text(), "/run/secrets/", f"{self.secrets}/")
        text = replaced(text, "redis://redis:6379", f"redis://127.0.0.1:{self.redis_port}")
        self.config = folder / "parallax.config.yaml"
        self.config.write_text(replaced(text, "host: 0.0.0.0", "host: ${NODE_HOST}"))
        self.environment |= {
            name: value.replace("/run/secrets", str(self.secrets))
            for name, value in compose["services"]["control-plane"]["environment"].items()}
        self.command = [programs / "parallaxd", "--config", self.config]

    def start_redis(self, text):
        self.redis_port = free_port()
        data = self.folder / "data"
        data.mkdir()
        file = self.folder / "redis.conf"
        file.write_text(replaced(text, "dir /data", f"dir {data}") + f"requirepass {(self.secrets / 'redis-password').read_text()}")
        self.processes.start("redis", ["redis-server", file, "--port", str(self.redis_port), "--bind", "127.0.0.1"])

    def start_proxy(self):
        text = HAPROXY.read_text()
        text = replaced(text, "127.0.0.11:53", f"127.0.0.1:{self.names.port}").replace("/run/secrets", str(self.secrets))
        for port, free in self.ports.items():
            text = replaced(text, f"bind {port}", f"bind 127.0.0.1:{free}")
        file, self.admin = self.folder / "haproxy.cfg", self.folder / "haproxy.socket"
        file.write_text(f"global\n  stats socket {self.admin} level admin\n{text}")
        result = subprocess.run(["haproxy", "-c", "-f", file], capture_output=True, text=True)
        if result.returncode or "WARNING" in result.stderr:
            fault("haproxy.cfg", (result.stdout + result.stderr).strip())
        self.names.start()
        self.processes.start("haproxy", ["haproxy", "-db", "-f", file])

    def variables(self, number):
        return {**self.environment, "NODE_HOST": f"127.78.0.{number}", "PARALLAX_NODE_ID": f"node-{number}"}

    def check_config(self):
        result = subprocess.run([*self.command, "--check-config"], env=self.variables(1), capture_output=True, text=True)
        if result.returncode or "the configuration is sound" not in result.stdout:
            fault("parallax.config.yaml", result.stdout + result.stderr)

    def scale(self, count):
        """As `docker compose up --scale control-plane=COUNT`; returns the seconds until HAProxy uses exactly these nodes."""
        for number in range(len(self.nodes) + 1, count + 1):
            self.processes.start(f"node-{number}", self.command, self.variables(number))
            self.nodes.append(number)
        gone = self.nodes[count:]
        for number in gone:
            self.processes.running[f"node-{number}"].terminate()
        for number in gone:
            if self.processes.running.pop(f"node-{number}").wait(60):
                fault("compose", f"node-{number} did not end with 0")
        del self.nodes[count:]
        # A name resolves as soon as its container runs, and no longer when it has ended.
        self.names.addresses = [f"127.78.0.{number}" for number in self.nodes]
        began = time.monotonic()
        while self.used() != count:
            if time.monotonic() > began + 30:
                fault("compose", f"HAProxy uses {self.used()} nodes of {count}")
                break
            time.sleep(0.1)
        return time.monotonic() - began

    def used(self):
        """The number of nodes that HAProxy sends requests to."""
        try:
            with socket.socket(socket.AF_UNIX) as admin:
                admin.connect(str(self.admin))
                admin.sendall(b"show stat\n")
                text = admin.makefile().read()
        except OSError:
            return 0
        return sum(line.startswith("nodes,node-") and ",UP," in line for line in text.splitlines())

    def request(self, method, path, secure):
        port = self.ports[":8443" if secure else ":8080"]
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind("localhost", port, timeout=30, **({"context": self.authority} if secure else {}))
        try:
            connection.request(method, path, "{}" if method == "POST" else None, {
                "Authorization": f"Bearer {self.key}", "Content-Type": "application/json", "Host": "parallax.example.org"})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def check_health(self):
        """The image's health check succeeds once a leader is known."""
        deadline = time.monotonic() + 40
        while True:
            result = subprocess.run([self.programs / "parallax", "ha", "status"], env={"PARALLAX_SERVER": "http://127.78.0.1:8080"},
                                    capture_output=True, text=True)
            if result.returncode == 0:
                return
            if time.monotonic() > deadline:
                return fault("Dockerfile", f"the health check ends with {result.returncode}: {result.stdout}{result.stderr}")
            time.sleep(0.5)


def play(programs, compose, variables):
    with tempfile.TemporaryDirectory(prefix="compose-") as name:
        site = Site(pathlib.Path(name), programs, compose, variables)
        callers = [Callers(site, path) for path in (("GET", "/api/patterns"), ("POST", "/api/executions"))]
        try:
            site.check_config()
            site.start_proxy()
            site.scale(3)
            for caller in callers:
                caller.start()
            joined = site.scale(5)
            site.check_health()
            site.scale(2)
        finally:
            for caller in callers:
                caller.ended.set()
            for caller in callers:
                if caller.ident:
                    caller.join()
            site.processes.stop()
        failed = [text for caller in callers for text in caller.failed]
        answered = sum(caller.answered for caller in callers)
        if failed or not answered:
            fault("compose", f"{len(failed)} of {answered + len(failed)} requests failed: {failed[:3]}")
        return f"3, 5 and 2 nodes behind HAProxy, new ones used after {joined:.1f} s, {answered} requests answered"


def main():
    write = "--write" in sys.argv[1:]
    folders = [argument for argument in sys.argv[1:] if argument != "--write"]
    compose, variables = check_files(write)
    check_image()
    missing = [program for program in ("haproxy", "redis-server", "openssl") if not shutil.which(program)]
    played = f"not run, for there is no {', '.join(missing)}" if missing else "not run, for no parallaxd was given"
    if folders and not missing and sys.platform == "linux":
        played = play(pathlib.Path(folders[0]).resolve(), compose, variables)
    for text in faults:
        print(f"error: {text}", file=sys.stderr)
    if faults:
        sys.exit(f"error: {len(faults)} faults in deploy/docker and deploy/compose")
    print(f"Compose: {len(compose['services'])} services, {played}")


main()
