#!/usr/bin/env python3
"""Three nodes behind each proxy, with the configuration of deploy/proxies: names and origins, HTTP/2 and WebSockets over TLS, a rolling
restart and kill -9 under load.

Usage: test-proxies.py FOLDER_OF_EXECUTABLES [--short] NAME=PROGRAM…, as in nginx=/usr/sbin/nginx. The short form restarts one node.
Needs redis-server, openssl, and the Python packages websockets and h2. Stops everything that it started; fails if an expectation does.
"""
import asyncio, collections, http.client, json, pathlib, signal, socket, ssl, sys, tempfile, threading, time

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from processes import Processes, free_port, request, wait_until_whole
from proxies import HOST, SHIPPED, Proxy, replaced
from proxy_load import PATTERN, Fleet, Load, ask, failure_of

BINARIES = pathlib.Path(sys.argv[1]).resolve()
IS_SHORT = "--short" in sys.argv
NODES, AGENTS, CALLERS, BURST = 3, 20, 8, 64
DEAF = 3  # of the agents, the first
DRAIN_DELAY = 5  # of deploy/proxies/parallax.config.yaml
PATIENCE = 70  # seconds, longer than what proxies allow by default


class Site:
    """One proxy and the nodes behind it."""

    def __init__(self, proxy, folder):
        self.proxy, self.processes, self.failed = proxy, Processes(folder), []
        self.redis_port, self.ports = free_port(), [free_port() for _ in range(NODES)]
        text = (SHIPPED / "parallax.config.yaml").read_text()
        text = replaced(text, "host: 0.0.0.0", "host: 127.0.0.1")
        self.configuration = folder / "nodes.yaml"
        self.configuration.write_text(replaced(text, "10.0.0.0/24", "127.0.0.1"))

    def expect(self, holds, what, seen=""):
        if not holds:
            self.failed.append(what)
            print(f"  FAILED: {what}{': ' if seen else ''}{seen}", flush=True)

    def start_node(self, index):
        self.processes.start(f"node-{index}", [BINARIES / "parallaxd", "--config", self.configuration], {
            "PARALLAX_HA_ENABLED": "true", "PARALLAX_HA_LEASE_DURATION": "3s", "PARALLAX_HA_CHECK_INTERVAL": "1s",
            "PARALLAX_NODE_ID": f"node-{index}", "PARALLAX_PORT": str(self.ports[index]),
            "PARALLAX_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}"})

    def start_lone_node(self, name, *arguments, **environment):
        port = free_port()
        self.processes.start(
            name, [BINARIES / "parallaxd", *arguments], {"PARALLAX_PORT": str(port), "PARALLAX_NODE_ID": name, **environment})
        for _ in range(200):
            try:
                request(port, "GET", "/health/live")
                return port
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{name} does not answer")

    def start_proxy(self, label, ports, changes_host=False, tls_port=None):
        port = free_port()
        self.proxy.start(self.processes, port, ports, label, changes_host, tls_port)
        return port

    def start(self):
        self.processes.start("redis", ["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", ""])
        for index in range(NODES):
            self.start_node(index)
        wait_until_whole(self.ports)
        assert request(self.ports[0], "POST", "/api/patterns", PATTERN)[0] == 201
        self.tls_port = free_port()
        self.port = self.start_proxy("proxy", self.ports, tls_port=self.tls_port)
        self.certificate = self.proxy.certificate
        wait_until_answered(self.port)

    # What a node knows of its clients behind the proxy.

    def check_names(self):
        changing = self.start_proxy("changing", self.ports, changes_host=True)
        plain = self.start_lone_node("plain")
        untrusted = self.start_proxy("untrusted", [plain], changes_host=True)
        for port in (changing, untrusted):
            wait_until_answered(port)
        for port, name in ((self.port, "passes Host on"), (changing, "changes Host")):
            self.expect(get(port)[0] == 200, f"a proxy that {name}: the public name is known", get(port))
            refused = get(port, host="other.example.org")
            self.expect(refused[0] == 403 and "server.hosts" in refused[1], f"a proxy that {name}: other names are refused", refused)
            forged = get(port, host="other.example.org", headers={"X-Forwarded-Host": HOST})
            self.expect(forged[0] == 403, f"a proxy that {name}: a client cannot forge X-Forwarded-Host", forged)
            forged = get(port, headers={"X-Forwarded-Host": "other.example.org"})
            self.expect(forged[0] == 200, f"a proxy that {name}: a client's X-Forwarded-Host does not reach the node", forged)
            probe = get(port, "/health/ready", host="other.example.org")
            self.expect(probe[0] == 200, f"a proxy that {name}: probes answer any name", probe)
            for origin in (f"http://{HOST}", f"https://{HOST}", f"http://{HOST}/ws/agent", ""):
                seen = handshake(port, origin)
                self.expect(seen == 101, f"a proxy that {name}: an agent's own origin {origin!r} is taken", seen)
            seen = handshake(port, "http://evil.example")
            self.expect(seen[0] == 403, f"a proxy that {name}: a foreign origin is refused", seen)
        refused = get(untrusted, host="localhost", origin="http://localhost")
        self.expect(refused[0] == 403, "a node that does not trust a proxy that changes Host refuses", refused)
        self.stop("changing", "untrusted", "plain")

    def check_not_ready(self):
        """A node without its store, alone behind the proxy."""
        node = self.start_lone_node(
            "waiting", "--config", self.configuration, PARALLAX_HA_ENABLED="true", PARALLAX_REDIS_URL=f"redis://127.0.0.1:{free_port()}")
        port = self.start_proxy("unready", [node])
        time.sleep(2.5)
        seen = handshake(port, "")
        self.expect(seen[0] == 503 and seen[1] == "1", "a handshake at a cluster that is not ready: 503 with Retry-After", seen)
        self.stop("unready", "waiting")

    def check_tls(self):
        """Agents over TLS; a browser's requests over HTTP/2, and its WebSockets over HTTP/2 where they are offered."""
        context = ssl.create_default_context(cafile=self.certificate)
        seen = asyncio.run(work(self.tls_port, context, "over-tls"))
        self.expect(seen == "completed", "an agent over TLS and HTTP/1.1 works", seen)
        if IS_SHORT:
            return  # without the package of HTTP/2
        from http2_client import Connection
        with Connection(self.tls_port, context) as connection:
            burst = [("GET", "/ha/status", None), ("POST", f"/api/patterns/{PATTERN['name']}/execute?async=true", {"input": {"delay": 0}})]
            answers = connection.ask(*burst * (BURST // 2))
            self.expect(
                {status for status, _ in answers} == {200, 202}, f"{BURST} requests at once over HTTP/2 and TLS are answered", answers[:2])
            refused = connection.ask(("GET", "/ha/status", None, "other.example.org"))[0]
            # Caddy itself has an empty answer for the names of no site.
            self.expect(refused[0] in (403, 421) or refused == (200, ""), "other names reach no node over HTTP/2", refused)
        # A client without TLS knows by itself that the server speaks HTTP/2; nginx and Caddy speak it over TLS alone.
        plain = [(self.port, None)] if self.proxy.name in ("envoy", "haproxy") else []
        for port, context in [*plain, (self.tls_port, context)]:
            with Connection(port, context) as connection:
                offered, (status, agent) = connection.offers_websockets, connection.open_websocket("/ws/agent")
                self.expect(offered == (status == 200), "an HTTP/2 client is offered WebSockets that work, or none", (offered, status))
                if status == 200:
                    agent.send({"type": "register", "payload": {"capabilities": ["http2"]}})
                    told = agent.receive()
                    self.expect(told["type"] == "registered", "an agent over HTTP/2 registers", told)
                print(f"  WebSockets over HTTP/2{' and TLS' if context else ''}: "
                      f"{f'offered, {status}' if offered else f'not offered ({status}), so clients open them over HTTP/1.1'}", flush=True)

    def stop(self, *labels):
        for label in labels:
            process = self.processes.running.pop(label)
            process.terminate()
            process.wait(20)

    # Restarts under load.

    def run_load(self):
        self.fleet, self.load = Fleet(self.port, AGENTS, deaf=DEAF), Load(self.port, CALLERS)
        self.fleet.start()
        self.fleet.wait_until_registered()
        self.load.phase = "steady"
        self.load.start()
        time.sleep(3)
        self.phase("rolling restart", lambda: self.restart(1 if IS_SHORT else NODES))
        if not IS_SHORT:
            self.phase("kill -9", self.kill_leader)
        self.load.stop()
        lost, completed = self.load.not_ended(self.ports[0])
        self.fleet.stop()
        print(f"  executions: {len(self.load.acknowledged)} acknowledged, {completed} completed, {len(lost)} not ended", flush=True)
        self.expect(not lost, "every acknowledged execution ends", lost[:3])
        self.expect(not self.load.given_up, "every request with a key gets through", self.load.given_up)

    def phase(self, name, act):
        self.load.phase, began = name, time.monotonic()
        act()
        ended = time.monotonic()
        failures, load = self.load.failures(name), self.load
        calls = sum(call.phase == name for call in load.calls)
        print("  {}: {:.0f} s, {} requests, {} failed{}; beside the work p50 {:.0f}, p99 {:.0f}, max {:.0f} ms".format(
            name, ended - began, calls, sum(failures.values()), f" ({dict(failures)})" if failures else "", *load.times(name)))
        pauses = [pause for agent in self.fleet.agents for pause in agent.pauses(began, ended)]
        idle = max(agent.idle(began, ended) for agent in self.fleet.agents)
        codes = collections.Counter(int(ending.code) for ending in self.fleet.endings(began, ended) if not ending.closed_itself)
        refused = collections.Counter(
            failure for agent in self.fleet.agents for at, failure in agent.failures if began < at < ended and failure.isdigit())
        print(f"    agents: {len(pauses)} pauses, the longest {max(pauses, default=0):.2f} s; the longest without a task {idle:.2f} s; "
              f"closed by the node: {dict(codes)}; handshakes refused: {dict(refused)}", flush=True)
        if name == "rolling restart":
            self.expect(not failures, "no request fails while nodes are restarted", dict(failures))
        else:
            # One for each caller whose request the node had, and for none that came later.
            self.expect(sum(failures.values()) <= CALLERS, "only requests that the dead node had fail", dict(failures))
            self.expect(not any("503" in failure for failure in failures), "503 is not said of a request that was sent", dict(failures))
        self.expect(max(pauses, default=0) < 6, "every agent is back within 6 s", pauses)

    def restart(self, count):
        # A node with an agent that is deaf, whichever that may be, is among them.
        first = int(request(self.ports[0], "GET", "/api/agents/agent-0")[1]["nodeId"].rpartition("-")[2])
        for index in [(first + turn) % NODES for turn in range(count)]:
            asked, process = time.monotonic(), self.processes.running.pop(f"node-{index}")
            process.send_signal(signal.SIGTERM)
            self.expect(process.wait(60) == 0, f"node-{index} exits with 0")
            ended = time.monotonic()
            endings = self.fleet.endings(asked, ended)
            early = [ending.at - asked for ending in endings if ending.at < asked + DRAIN_DELAY - 0.5]
            self.expect(not early, "agents stay while their node says that it is not ready", early)
            untold = [ending for ending in endings if not ending.was_told]
            self.expect(not untold, "agents get `reconnect` before their connection ends", untold)
            codes = {ending.code for ending in endings if not ending.closed_itself}
            self.expect(codes <= {1001}, "agents that do not heed it are closed with 1001", codes)
            self.start_node(index)
            wait_until_whole(self.ports)
            time.sleep(2.5)  # until the proxy has seen it ready
        self.fleet.wait_until_registered()
        ended = [ending for agent in self.fleet.agents for ending in agent.endings]
        self.expect(any(ending.closed_itself for ending in ended), "an agent heeds `reconnect`")
        self.expect(any(not ending.closed_itself for ending in ended), "an agent that does not heed it is closed")

    def kill_leader(self):
        leader = wait_until_whole(self.ports)
        self.processes.kill(f"node-{leader}")
        failures = burst(self.port)
        print(f"  {BURST} requests at once, when the proxy does not know of the death yet: {sum(failures.values())} failed", flush=True)
        self.expect(not failures, "requests that come after a node's death go to the others", dict(failures))
        time.sleep(6)
        self.fleet.wait_until_registered()
        self.start_node(leader)
        wait_until_whole(self.ports)
        time.sleep(2.5)


def wait_until_answered(port):
    for _ in range(200):
        try:
            if get(port, "/health/ready")[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    raise SystemExit("the proxy does not find a node that is ready")


def get(port, path="/ha/status", host=HOST, origin=None, headers={}):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": host, **({"Origin": origin} if origin else {}), **headers})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def handshake(port, origin):
    """101, or the status, Retry-After and body of a refusal."""
    async def run():
        try:
            async with connect(f"ws://{HOST}/ws/agent", host="127.0.0.1", port=port, additional_headers={"Origin": origin}):
                return 101
        except InvalidStatus as refused:
            response = refused.response
            return response.status_code, response.headers.get("Retry-After"), response.body
    return asyncio.run(run())


async def work(port, context, name):
    """How an execution ends that an agent works on: both come over TLS."""
    async with connect(f"wss://{HOST}/ws/agent", host="127.0.0.1", port=port, ssl=context, origin=f"https://{HOST}",
                       additional_headers={"X-Agent-Id": name}) as agent:
        await agent.send(json.dumps({"type": "register", "payload": {"capabilities": [name]}}))
        registered = json.loads(await agent.recv())
        if registered["type"] != "registered":
            return registered

        def execute():
            connection = http.client.HTTPConnection(HOST, port)
            try:
                # By the public name, which is not in the system's list of hosts.
                connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=20), server_hostname=HOST)
                pattern = {**PATTERN, "name": name, "agents": {"capabilities": [name]}}
                created = ask(connection, "POST", "/api/patterns", pattern)
                answer = ask(connection, "POST", f"/api/patterns/{name}/execute", {"input": {}})
                return answer[1].get("status") or (created, answer)
            finally:
                connection.close()

        caller = asyncio.create_task(asyncio.to_thread(execute))
        while (message := json.loads(await asyncio.wait_for(agent.recv(), 20)))["type"] != "task":
            pass
        task = {key: message["payload"][key] for key in ("taskId", "executionId")}
        await agent.send(json.dumps({"type": "task_result", "payload": {**task, "result": {"by": name}}}))
        return await caller


def burst(port):
    failures, lock = collections.Counter(), threading.Lock()

    def call(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            if number % 2:
                status, _ = ask(connection, "GET", "/ha/status")
            else:
                status, _ = ask(connection, "POST", f"/api/patterns/{PATTERN['name']}/execute?async=true", {"input": {"delay": 0}})
            failure = str(status) if status not in (200, 202) else ""
        except (OSError, http.client.HTTPException) as error:
            failure = failure_of(error)
        connection.close()
        if failure:
            with lock:
                failures[f"{'GET' if number % 2 else 'POST'}: {failure}"] += 1

    threads = [threading.Thread(target=call, args=(number,)) for number in range(BURST)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def check_patience(proxies, folder, failed):
    """A caller that waits for longer, and an agent that is silent for longer, than proxies allow by default."""
    if not proxies:
        return
    site = Site(proxies[0], folder)
    try:
        node = site.start_lone_node("patient", "--config", site.configuration, PARALLAX_DRAIN_DELAY="0s", PARALLAX_DRAIN_TIMEOUT="1s")
        assert request(node, "POST", "/api/patterns", PATTERN)[0] == 201
        ended, threads = {}, []
        for proxy in proxies:
            site.proxy = proxy
            port = site.start_proxy(proxy.name, [node])
            fleet = Fleet(port, 1)
            fleet.agents[0].name = f"behind-{proxy.name}"
            fleet.start()

            def wait(name=proxy.name, port=port, fleet=fleet):
                fleet.wait_until_registered()
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE + 20)
                try:
                    ended[name] = [ask(connection, "POST", f"/api/patterns/{PATTERN['name']}/execute", {"input": {"delay": PATIENCE}})[0]]
                except (OSError, http.client.HTTPException) as error:
                    ended[name] = [failure_of(error)]
                ended[name].append(len(fleet.agents[0].endings))
                fleet.stop()

            threads.append(threading.Thread(target=wait))
            threads[-1].start()
        for thread in threads:
            thread.join()
        seen = "; ".join(f"{name} {status}, {endings} agents cut" for name, (status, endings) in ended.items())
        print(f"{PATIENCE} s of waiting: {seen}", flush=True)
        failed += [f"patience of {name}" for name, seen in ended.items() if seen != [200, 0]]
    finally:
        site.processes.stop()


def main():
    proxies = [Proxy(*argument.split("=", 1)) for argument in sys.argv[2:] if argument != "--short"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed = []
    with tempfile.TemporaryDirectory(prefix="parallax-proxies-") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        (folder / "patience").mkdir()
        patience = threading.Thread(target=check_patience, args=([] if IS_SHORT else proxies, folder / "patience", failed))
        patience.start()
        for proxy in proxies:
            print(f"{proxy.name} {proxy.version()}", flush=True)
            (folder / proxy.name).mkdir()
            site = Site(proxy, folder / proxy.name)
            try:
                site.start()
                site.check_names()
                site.check_not_ready()
                site.check_tls()
                site.run_load()
            finally:
                site.processes.stop()
            failed += [f"{proxy.name}: {what}" for what in site.failed]
        patience.join()
    for what in failed:
        print(f"FAILED {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
