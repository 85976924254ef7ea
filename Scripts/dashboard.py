#!/usr/bin/env python3
"""Opens the dashboard of real nodes in a real Chromium, in each of its states, and checks what it shows.

Usage: dashboard.py FOLDER_OF_EXECUTABLES CHROMIUM FOLDER_FOR_PICTURES [--warm SECONDS]
With --warm the load runs for so long before the first picture, so that its charts have a history.
Starts Redis, nodes and agents on free ports of this machine, and stops them. Run it through Scripts/test-dashboard.sh.
"""

import argparse, asyncio, concurrent.futures, contextlib, http.client, itertools, json, pathlib, random, re, secrets, shutil, signal, sys
import threading, time

import axe_playwright_python
from playwright.sync_api import TimeoutError as Missing, sync_playwright
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from processes import Processes, free_port, ha_status, request, wait_until_whole

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "Sources/ParallaxServer/UI"
AXE = (pathlib.Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
ADMIN, READER = ("plx_" + secrets.token_hex(32) for _ in range(2))
MARKUP = "<img src=x onerror=\"document.title='broken in'\"><b>bold</b>"
MANY_EXECUTIONS, MANY_AGENTS = 10_000, 1_000
# The rows that a page may have at once, and the longest time in which it may draw nothing.
MOST_ROWS, LONGEST_FREEZE = 300, 1.0
PATTERNS = [
    {
        "name": "review",
        "description": "Three reviewers vote on a change",
        "agents": {"capabilities": ["review"], "min": 1, "max": 3},
        "aggregation": {"strategy": "voting", "field": "verdict"},
        "timeout": "30s",
        "retries": 1,
    },
    {"name": "answer", "description": "The first answer wins", "agents": {"capabilities": ["answer"]}, "timeout": "30s"},
    {
        "name": "summary",
        "description": "Summaries, for which no agent is connected",
        "agents": {"capabilities": ["summarize"]},
        "timeout": "1h",
    },
]


class Agents:
    """Agents that a thread of this process runs: each answers a task after its delay, or fails it."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.registered = 0
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def start(self, ports, id, capability, delay=0.02, fail_rate=0.0, metadata=None):
        asyncio.run_coroutine_threadsafe(self.run(ports, id, capability, delay, fail_rate, metadata or {}), self.loop)

    async def run(self, ports, id, capability, delay, fail_rate, metadata):
        headers = {"X-Agent-Id": id, "Authorization": f"Bearer {ADMIN_AGENT}"}
        for port in itertools.cycle(ports):
            with contextlib.suppress(OSError, WebSocketException):
                async with connect(f"ws://127.0.0.1:{port}/ws/agent", additional_headers=headers) as socket:
                    await self.session(socket, capability, delay, fail_rate, metadata)
            await asyncio.sleep(0.5 + random.random())

    async def session(self, socket, capability, delay, fail_rate, metadata):
        def message(kind, payload):
            return json.dumps(
                {
                    "type": kind,
                    "id": secrets.token_hex(8),
                    "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "payload": payload,
                }
            )

        async def perform(task):
            ids = {"taskId": task["taskId"], "executionId": task["executionId"]}
            took = random.expovariate(1 / delay)
            await asyncio.sleep(took)
            with contextlib.suppress(WebSocketException):
                if isinstance(task["input"], dict) and task["input"].get("fail"):
                    await socket.send(message("task_error", {**ids, "error": {"code": "REFUSED", "message": MARKUP}, "retryable": False}))
                elif random.random() < fail_rate:
                    await socket.send(
                        message(
                            "task_error", {**ids, "error": {"code": "OVERLOADED", "message": "the model is overloaded"}, "retryable": False}
                        )
                    )
                else:
                    result = {"verdict": random.choice(["approve", "approve", "change"]), "note": task["input"].get("text")}
                    await socket.send(
                        message(
                            "task_result", {**ids, "status": "completed", "result": result, "confidence": 0.9, "duration": int(took * 1000)}
                        )
                    )

        await socket.send(message("register", {"capabilities": [capability], "metadata": metadata, "config": {"maxConcurrentTasks": 16}}))
        work = set()
        async for text in socket:
            received = json.loads(text)
            if received["type"] == "registered":
                self.registered += 1
            elif received["type"] == "task":
                task = asyncio.ensure_future(perform(received["payload"]))
                work.add(task)
                task.add_done_callback(work.discard)
            elif received["type"] == "reconnect":
                return


class Load:
    """Callers that submit executions at a rate that rises and falls, until they are stopped."""

    def __init__(self, ports):
        self.ports, self.stopped = ports, threading.Event()
        self.threads = [threading.Thread(target=self.call, args=(caller,), daemon=True) for caller in range(4)]
        for thread in self.threads:
            thread.start()

    def call(self, caller):
        for number in itertools.count():
            pattern = "review" if number % 3 else "answer"
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                request(
                    self.ports[(caller + number) % len(self.ports)],
                    "POST",
                    f"/api/patterns/{pattern}/execute",
                    {"input": {"text": f"change {number}"}},
                    key=ADMIN,
                )
            if self.stopped.wait(random.expovariate(1) * (0.12 if time.time() % 240 < 150 else 0.3)):
                return

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


class Cluster:
    """Redis and three nodes."""

    def __init__(self, processes, binaries):
        self.processes, self.binaries = processes, binaries
        self.redis_port, self.ports = free_port(), [free_port() for _ in range(3)]

    def start_redis(self):
        self.processes.start("redis", ["redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--appendonly", "yes"])

    def start_node(self, index):
        self.launch(
            f"node-{index}",
            self.ports[index],
            {
                "PARALLAX_HA_ENABLED": "true",
                "PARALLAX_HA_CLUSTER_ID": "production",
                "PARALLAX_HA_LEASE_DURATION": "5s",
                "PARALLAX_HA_CHECK_INTERVAL": "1s",
                "PARALLAX_API_KEYS": API_KEYS,
                "PARALLAX_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}",
            },
        )

    def launch(self, name, port, environment):
        folder = self.processes.folder / "patterns"
        folder.mkdir(exist_ok=True)
        self.processes.start(
            name,
            [self.binaries / "parallaxd"],
            {"PARALLAX_NODE_ID": name, "PARALLAX_PORT": str(port), "PARALLAX_PATTERNS_DIR": str(folder), **environment},
        )

    def start(self):
        self.start_redis()
        for index in range(3):
            self.start_node(index)
        leader = wait_until_whole(self.ports)
        for pattern in PATTERNS:
            status, answer = request(self.ports[0], "POST", "/api/patterns", pattern, key=ADMIN)
            assert status in (200, 201), answer
        return leader

    def make_whole(self):
        """Starts what a state has killed, and waits until all nodes see each other; returns the leader's index."""
        if "redis" not in self.processes.running:
            self.start_redis()
        for index in range(3):
            if f"node-{index}" not in self.processes.running:
                self.start_node(index)
        return wait_until_whole(self.ports)


ADMIN_AGENT = "plx_" + secrets.token_hex(32)
API_KEYS = f"ops:admin:{ADMIN},viewer:read:{READER},agents:agent:{ADMIN_AGENT}"


class Dashboard:
    """One window of the browser, and what is checked of it."""

    def __init__(self, browser, pictures, dark=False, phone=False):
        self.context = browser.new_context(
            color_scheme="dark" if dark else "light",
            device_scale_factor=1,
            viewport={"width": 390, "height": 844} if phone else {"width": 1360, "height": 900},
        )
        self.context.add_init_script(
            "document.addEventListener('securitypolicyviolation', "
            "(event) => console.error('CSP: ' + event.violatedDirective + ' ' + event.blockedURI))"
        )
        self.pictures, self.page = pictures, self.context.new_page()
        self.faults, self.expects_failures, self.foreign = [], False, []
        self.metrics = self.context.new_cdp_session(self.page)
        self.metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.on("console", self.heard)
        self.page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        self.page.on("request", lambda sent: None if sent.url.startswith(("http://127.0.0.1:", "data:")) else self.foreign.append(sent.url))

    def heard(self, message):
        # The browser itself writes of each response that is an error; those belong to the faults that this script causes.
        if message.type == "error" and not (self.expects_failures and "Failed to load resource" in message.text):
            self.faults.append(f"{message.text} ({message.location.get('url')})")

    def open(self, port, route=""):
        self.page.goto(f"http://127.0.0.1:{port}/ui/{route}")

    def go(self, route):
        self.page.evaluate("(route) => { location.hash = route; }", route)
        self.page.wait_for_function(
            "() => document.querySelector('main h1') && !document.querySelector('main').innerText.includes('Reading…')", timeout=15_000
        )

    def log_in(self, port, key, route=""):
        self.open(port, route)
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("navigation", name="Main").wait_for()

    def text(self, selector="main"):
        return self.page.locator(selector).inner_text()

    def tile(self, name):
        return self.page.locator(".tile", has_text=name).first.locator(".value").inner_text()

    def expect(self, text, seconds=10, selector="body"):
        """Waits until the page has a text; fails with what it has instead."""
        try:
            self.page.wait_for_function(
                "([selector, text]) => document.querySelector(selector)?.innerText.includes(text)",
                arg=[selector, text],
                timeout=seconds * 1000,
            )
        except Missing:
            raise AssertionError(f"{text!r} is not on the page after {seconds} s; it has: {self.text('body')[:1500]}") from None

    def expect_leader(self, name, seconds=30):
        """Waits until the page shows a leader; fails with what it shows, and what the node says."""
        try:
            self.page.wait_for_function(
                "(name) => document.querySelector('.tile .value').innerText === name", arg=name, timeout=seconds * 1000
            )
        except Missing:
            said = self.page.evaluate("fetch('/ha/status').then((answer) => answer.text())")
            raise AssertionError(f"the leader is not {name} after {seconds} s, but {self.tile('Leader')}; the node says {said}") from None

    def confirm(self, button, action, fields=None, exact=True):
        """Clicks a button of the page, fills the fields of its question, and confirms."""
        self.page.get_by_role("button", name=button, exact=exact).first.click()
        dialog = self.page.get_by_role("dialog")
        for label, value in (fields or {}).items():
            field = dialog.get_by_label(label)
            field.select_option(value) if field.evaluate("(field) => field.tagName") == "SELECT" else field.fill(value)
        dialog.get_by_role("button", name=action, exact=True).click()
        dialog.wait_for(state="detached", timeout=35_000)

    def picture(self, name, whole=False):
        self.page.screenshot(path=self.pictures / f"{name}.png", full_page=whole, animations="disabled")

    def check(self, name, whole=False):
        """Takes a picture, and checks accessibility, width, errors and rows."""
        self.page.wait_for_timeout(300)
        self.picture(name, whole)
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations', 'incomplete']})")
        for violation in found["violations"]:
            self.faults.append(f"axe {violation['id']}: {violation['help']}: {[node['html'][:160] for node in violation['nodes'][:3]]}")
        if wider := self.page.evaluate("document.documentElement.scrollWidth - innerWidth"):
            if wider > 0:
                self.faults.append(f"the page is {wider} px wider than the window")
        if (rows := self.page.locator("tr, .events li").count()) > MOST_ROWS:
            self.faults.append(f"{rows} rows")
        self.faults += [f"request to {url}" for url in self.foreign]
        faults, self.faults, self.foreign = self.faults, [], []
        report(name, faults, f"axe: {len(found['passes'])} rules pass, {rows} rows")

    def watch_freezes(self):
        self.page.evaluate("""() => {
          window.longestFreeze = 0;
          let last = performance.now();
          const turn = () => {
            const now = performance.now();
            window.longestFreeze = Math.max(window.longestFreeze, now - last);
            last = now;
            requestAnimationFrame(turn);
          };
          requestAnimationFrame(turn);
        }""")

    def freeze(self):
        return self.page.evaluate("window.longestFreeze") / 1000

    def work(self):
        """The seconds that the page has spent in scripts, styles and layout since it was opened."""
        values = {metric["name"]: metric["value"] for metric in self.metrics.send("Performance.getMetrics")["metrics"]}
        return values["TaskDuration"]


FAILED = []


def report(name, faults, note=""):
    print(f"{'FAILED' if faults else 'passed':7} {name:28} {note}", flush=True)
    for fault in faults:
        print(f"        {fault}", flush=True)
    if faults:
        FAILED.append(name)


class Test:
    def __init__(self, processes, browser, pictures, binaries, warm):
        self.processes, self.browser, self.pictures, self.warm = processes, browser, pictures, warm
        self.cluster, self.agents = Cluster(processes, binaries), Agents()

    def state(self, name, function, *arguments):
        """Runs the checks of a state; a failure does not keep the others from running."""
        try:
            function(*arguments)
        except (Exception, SystemExit) as error:  # whatever fails is a finding, and the next state is checked all the same
            report(name, [f"{type(error).__name__}: {str(error)[:1800]}"])

    def execute(self, pattern, document, port=None):
        status, answer = request(port or self.cluster.ports[0], "POST", f"/api/patterns/{pattern}/execute?async=true", document, key=ADMIN)
        assert status == 202, answer
        return answer["executionId"]

    def run(self):
        report("sources", self.source_faults())
        print(f"Redis and nodes start; their logs are in {self.processes.folder}", flush=True)
        self.cluster.start()
        for index in range(9):
            self.agents.start(
                self.cluster.ports[index % 3 :] + self.cluster.ports,
                f"reviewer-{index}",
                "review",
                metadata={"name": f"Reviewer {index}", "model": "small"},
            )
        for index in range(3):
            self.agents.start(self.cluster.ports[index:] + self.cluster.ports, f"answerer-{index}", "answer", delay=0.06, fail_rate=0.03)
        self.load = Load(self.cluster.ports)
        time.sleep(self.warm)
        self.state("logged out", self.logged_out)
        self.main = Dashboard(self.browser, self.pictures)
        self.state("overview", self.overview)
        self.state("executions", self.executions)
        self.state("agents, patterns, cluster", self.other_pages)
        self.state("actions", self.actions)
        self.state("reader", self.reader)
        self.state("dark and phone", self.dark_and_phone)
        self.state("node down", self.node_down)
        self.state("no leader", self.no_leader)
        self.state("no Redis", self.no_redis)
        self.state("server killed", self.server_killed)
        self.load.stop()
        self.state("10,000 executions and 1,000 agents", self.many)
        self.state("one node in memory", self.alone)
        self.state("key removed", self.key_removed)
        print(f"{len(FAILED)} failed: {', '.join(FAILED)}" if FAILED else f"All passed; the pictures are in {self.pictures}")
        return 1 if FAILED else 0

    def source_faults(self):
        """Markup from text, inline code and addresses of others, which the page must not have."""
        wrong = re.compile(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|style=\"|https?://(?!www\.w3\.org/)"
        )
        return [
            f"{file.name}:{number}: {line.strip()[:120]}"
            for file in sorted(PAGE.iterdir())
            for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
            if wrong.search(line)
        ]

    def logged_out(self):
        board = Dashboard(self.browser, self.pictures)
        board.open(self.cluster.ports[0])
        board.page.get_by_label("API key").wait_for()
        board.check("logged-out")
        board.expects_failures = True
        board.page.get_by_label("API key").fill("plx_" + "0" * 64)
        board.page.get_by_role("button", name="Log in").click()
        board.page.locator(".problem").wait_for()
        assert "UNAUTHORIZED" in board.text(".problem") and "req_" in board.text(".problem"), board.text()
        board.check("wrong-key")
        board.page.get_by_label("API key").fill(READER)
        board.page.get_by_role("button", name="Log in").click()
        board.page.get_by_role("navigation", name="Main").wait_for()
        cookies = board.context.cookies()
        assert len(cookies) == 1 and cookies[0]["httpOnly"] and cookies[0]["sameSite"] == "Strict", cookies
        assert board.page.evaluate("document.cookie") == "" and READER not in board.page.evaluate("JSON.stringify(localStorage)")
        board.page.get_by_role("button", name="Log out").click()
        board.page.get_by_label("API key").wait_for()
        assert not board.context.cookies(), board.context.cookies()
        board.context.close()

    def overview(self):
        board = self.main
        board.log_in(self.cluster.ports[0], ADMIN)
        for _ in range(3):
            self.execute("summary", {"input": {"text": "a long report"}})
        board.expect("Live", selector="#connection")
        board.expect("Too few connected agents have these capabilities", 15)
        board.expect("3 of 3")
        leader = ha_status(self.cluster.ports[0])["leader"]
        assert board.tile("Leader") == leader, board.tile("Leader")
        values = set()
        for _ in range(8):
            values.add(board.tile("Lease remaining"))
            time.sleep(0.3)
        assert len(values) > 2 and all(0 < float(value.split()[0]) <= 5 for value in values), values
        board.page.wait_for_function("() => document.querySelectorAll('.events li').length > 5")
        board.page.wait_for_function("() => document.querySelector('.chart path.line')?.getAttribute('d')?.length > 5", timeout=15_000)
        board.check("overview", whole=True)
        board.page.get_by_role("radio", name="Each node").check()
        board.expect("node-2, p99")
        board.page.locator(".chart").first.focus()
        board.page.keyboard.press("ArrowLeft")
        board.check("overview-by-node")

    def executions(self):
        board = self.main
        failed = self.execute("review", {"input": {"text": MARKUP, "fail": True}, "options": {"metadata": {"title": MARKUP}}})
        board.go("#/executions")
        board.page.locator("tbody tr").nth(20).wait_for()
        board.check("executions")
        board.page.get_by_label("Status").select_option("failed")
        board.page.get_by_role("button", name="Filter").click()
        board.page.wait_for_function(
            "() => [...document.querySelectorAll('tbody td:first-child')].every((cell) => cell.innerText.includes('Failed'))"
        )
        board.go("#/executions")
        board.page.get_by_role("button", name="Older").click()
        board.page.get_by_role("button", name="Newest").wait_for()
        board.page.locator("tbody tr").nth(5).wait_for()
        board.page.get_by_label("Execution id").fill(failed)
        board.page.get_by_role("button", name="Open").click()
        board.expect("REFUSED")
        board.expect("<img src=x onerror=", selector="main")
        assert (
            board.page.locator("main img").count() == 0 and board.page.locator("main b").count() == 0 and "broken" not in board.page.title()
        )
        board.check("execution-failed", whole=True)
        completed = request(
            self.cluster.ports[1], "POST", "/api/patterns/review/execute", {"input": {"text": "Let the loser hear of it"}}, key=ADMIN
        )[1]["executionId"]
        board.go(f"#/executions/{completed}")
        board.expect("Completed")
        assert board.page.get_by_role("button", name="Retry…").count() == 0
        board.check("execution", whole=True)
        pending = self.execute("summary", {"input": {"text": "another report"}})
        board.go(f"#/executions/{pending}")
        board.expect("Too few connected agents have these capabilities")
        board.check("execution-waiting")
        board.expects_failures = True
        board.go("#/executions/exec_none")
        board.expect("there is no execution")
        board.check("execution-unknown")
        board.expects_failures = False

    def other_pages(self):
        board = self.main
        board.go("#/agents")
        board.expect("reviewer-8")
        board.check("agents")
        board.go("#/agents?capabilities=answer")
        board.expect("answerer-2")
        assert "reviewer-0" not in board.text()
        board.go("#/agents/reviewer-0")
        board.expect("Reviewer 0")
        board.check("agent")
        board.go("#/patterns")
        board.expect("Three reviewers vote")
        board.check("patterns")
        board.go("#/patterns/review")
        board.expect("voting, by verdict")
        board.check("pattern")
        board.go("#/cluster")
        board.expect("Health of the answering node")
        board.check("cluster")
        board.go("#/nowhere")
        board.expect("No such page")
        board.check("no-such-page")

    def actions(self):
        board = self.main
        pending = self.execute("summary", {"input": {"text": "to be cancelled"}})
        board.go(f"#/executions/{pending}")
        board.page.get_by_role("button", name="Cancel…").click()
        board.page.get_by_role("dialog").wait_for()
        board.check("dialog")
        board.page.keyboard.press("Escape")
        board.page.get_by_role("dialog").wait_for(state="detached")
        board.confirm("Cancel…", "Cancel the execution")
        board.expect("Cancelled", selector=".facts")
        board.confirm("Retry…", "Run again")
        board.page.wait_for_function("(old) => !location.hash.includes(old)", arg=pending)
        board.expect("Waiting", selector=".facts")
        board.go("#/agents/answerer-0")
        board.confirm("Disconnect…", "Disconnect")
        board.expect("Disconnected", selector=".facts")
        board.go("#/cluster")
        board.expect("Leader", selector="table")
        leader = wait_until_whole(self.cluster.ports)
        other = f"node-{(leader + 1) % 3}"
        board.confirm("Step down…", "Step down", {"Next leader": other, "Reason": "rehearsal"})
        board.expect(f"{other} leads in term")
        board.expect_leader(other)
        board.confirm("Pause elections…", "Pause")
        board.expect("Elections are paused: if the leader ends")
        board.check("paused")
        board.confirm("Resume elections…", "Resume")
        board.page.wait_for_function("() => !document.querySelector('.notice')")

    def reader(self):
        board = Dashboard(self.browser, self.pictures)
        board.log_in(self.cluster.ports[1], READER, "#/cluster")
        board.expect("Health of the answering node")
        for action in ["Step down…", "Pause elections…"]:
            assert board.page.get_by_role("button", name=action).count() == 0, action
        board.go("#/agents/reviewer-1")
        board.expect("Reviewer 1")
        assert board.page.get_by_role("button", name="Disconnect…").count() == 0
        board.check("reader")
        board.context.close()

    def dark_and_phone(self):
        for name, dark, phone in [("dark", True, False), ("phone", False, True), ("phone-dark", True, True)]:
            board = Dashboard(self.browser, self.pictures, dark=dark, phone=phone)
            board.log_in(self.cluster.ports[0], ADMIN)
            board.page.wait_for_function("() => document.querySelectorAll('.events li').length > 3")
            board.check(f"{name}-overview", whole=True)
            for route in ["executions", "agents", "patterns", "patterns/review", "cluster"]:
                board.go(f"#/{route}")
                board.check(f"{name}-{route.replace('/', '-')}")
            newest = request(self.cluster.ports[0], "GET", "/api/executions?limit=1&status=completed", key=ADMIN)[1]["executions"][0][
                "executionId"
            ]
            board.go(f"#/executions/{newest}")
            board.expect("Completed")
            board.check(f"{name}-execution", whole=True)
            board.context.close()
        board = Dashboard(self.browser, self.pictures)
        board.open(self.cluster.ports[0])
        for theme in ["light", "dark"]:
            board.page.get_by_role("button", name="Theme").click()
            assert board.page.evaluate("document.documentElement.dataset.theme") == theme
        board.page.reload()
        assert board.page.evaluate("document.documentElement.dataset.theme") == "dark"
        board.context.close()

    def node_down(self):
        board = self.main
        self.cluster.make_whole()
        board.go("#/")
        board.expect("3 of 3", 20)
        self.processes.kill("node-2")
        board.expect("2 of 3", 20)
        board.expect("Unhealthy")
        board.check("node-down")

    def no_leader(self):
        """The leader fails while elections are paused."""
        board = self.main
        if self.cluster.make_whole() != 1:
            assert request(self.cluster.ports[0], "POST", "/ha/stepdown", {"to": "node-1"}, key=ADMIN)[0] == 200
        board.go("#/")
        assert request(self.cluster.ports[0], "POST", "/ha/pause", {}, key=ADMIN)[0] == 200
        self.processes.kill("node-1")
        board.expect_leader("None")
        board.check("no-leader")
        assert request(self.cluster.ports[0], "POST", "/ha/resume", {}, key=ADMIN)[0] == 200
        board.page.wait_for_function("() => document.querySelector('.tile .value').innerText !== 'None'", timeout=30_000)

    def no_redis(self):
        board = self.main
        board.expects_failures = True
        self.cluster.make_whole()
        board.go("#/")
        board.expect("3 of 3", 20)
        self.processes.kill("redis")
        board.expect("cannot reach its store", 30, "#banner")
        board.expect("not confirmed")
        assert board.tile("Lease remaining") == "Unknown", board.tile("Lease remaining")
        assert board.tile("Leader") == "Unknown" or "Leader, last known" in board.text(), board.text()
        board.check("no-redis")
        board.go("#/executions")
        board.expect("NOT_READY", 15)
        board.check("no-redis-executions")
        board.go("#/")
        self.cluster.make_whole()
        board.page.wait_for_function("() => document.getElementById('banner').innerText === ''", timeout=60_000)
        board.expect("Live", 20, "#connection")

    def server_killed(self):
        board = self.main
        board.expects_failures = True
        self.cluster.make_whole()
        board.go("#/")
        leader = ha_status(self.cluster.ports[0])["leader"]
        board.expect(leader, selector=".tile .value")
        self.processes.kill("node-0")
        began = time.monotonic()
        board.expect("node-0 does not answer", 10, "#banner")
        seen = time.monotonic() - began
        board.expect("not confirmed")
        assert board.tile("Leader") == leader and board.tile("Lease remaining") == "Unknown", board.tile("Lease remaining")
        board.check("server-killed")
        began = time.monotonic()
        self.cluster.start_node(0)
        board.expect("Live", 40, "#connection")
        assert board.text("#banner") == ""
        back = time.monotonic() - began
        self.cluster.make_whole()
        board.page.wait_for_function("() => document.querySelector('.tile .tile-note').innerText.includes('valid lease')", timeout=20_000)
        report("server killed and back", [], f"banner after {seen:.1f} s, live {back:.1f} s after the restart began")
        board.expects_failures = False

    def many(self):
        ports = self.cluster.ports
        began, before = time.monotonic(), self.agents.registered
        for index in range(MANY_AGENTS):
            self.agents.start(ports[index % 3 :] + ports, f"agent-{index:04}", "answer" if index % 2 else "review")
            time.sleep(0.002)
        while self.agents.registered - before < MANY_AGENTS and time.monotonic() - began < 120:
            time.sleep(0.1)

        def submit(part):
            connection = http.client.HTTPConnection("127.0.0.1", ports[part % 3], timeout=60)
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {ADMIN}"}
            for number in range(MANY_EXECUTIONS // 8):
                connection.request(
                    "POST", "/api/patterns/answer/execute?async=true", json.dumps({"input": {"text": f"{part} {number}"}}), headers
                )
                connection.getresponse().read()
            connection.close()

        board = self.main
        board.go("#/")
        began, before_load = time.monotonic(), board.work()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(submit, range(8)))
        took, busy = time.monotonic() - began, board.work() - before_load
        total = request(ports[0], "GET", "/api/executions?limit=1", key=ADMIN)[1]["total"]
        assert total >= MANY_EXECUTIONS, total
        board.check("many-overview", whole=True)
        # A page at a time, and without axe, which itself stops the page for a second.
        board.watch_freezes()
        board.go("#/executions")
        board.page.locator("tbody tr").nth(49).wait_for()
        for _ in range(5):
            board.page.get_by_role("button", name="Older").click()
            board.page.wait_for_timeout(400)
        board.go("#/agents")
        board.page.locator("tbody tr").nth(99).wait_for(timeout=20_000)
        board.page.get_by_role("button", name="Next").click()
        board.expect("101 to 200")
        freeze = board.freeze()
        board.check("many-agents")
        board.go("#/executions?status=completed")
        board.page.locator("tbody tr").nth(49).wait_for()
        board.check("many-executions")
        faults = [f"the page drew nothing for {freeze:.1f} s"] if freeze > LONGEST_FREEZE else []
        report(
            "many",
            faults,
            f"{total} executions, {self.agents.registered - before} agents; longest time without a frame {freeze * 1000:.0f} ms; "
            f"at {MANY_EXECUTIONS / took:.0f} executions/s the page was at work {100 * busy / took:.0f} % of the time",
        )

    def launch_alone(self, name, environment):
        port = free_port()
        self.cluster.launch(name, port, environment)
        for _ in range(200):
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                if request(port, "GET", "/health/ready")[0] == 200:
                    break
            time.sleep(0.05)
        return port

    def key_removed(self):
        """A key that is gone ends its session, though the status is open to everybody."""
        file = self.processes.folder / "keys.yaml"
        keys = "security: {{ authentication: {{ apiKeys: [{}] }} }}\n"
        entries = ["{ name: %s, key: %s, scopes: [%s] }" % entry for entry in [("ops", ADMIN, "admin"), ("viewer", READER, "read")]]
        file.write_text(keys.format(", ".join(entries)))
        port = self.launch_alone("keys", {"PARALLAX_CONFIG": str(file)})
        board = Dashboard(self.browser, self.pictures)
        board.log_in(port, READER)
        board.expects_failures = True
        file.write_text(keys.format(entries[0]))
        self.processes.running["keys"].send_signal(signal.SIGHUP)
        board.expect("The session has ended", 30)
        board.page.get_by_label("API key").wait_for()
        board.check("key-removed")
        board.context.close()

    def alone(self):
        port = self.launch_alone("alone", {})
        board = Dashboard(self.browser, self.pictures)
        board.open(port)
        board.page.get_by_role("navigation", name="Main").wait_for()
        board.expect("1 of 1", 15)
        assert board.tile("Leader") == "alone" and board.page.get_by_role("button", name="Log out").count() == 0
        board.check("alone")
        board.context.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("chromium", type=pathlib.Path)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("--warm", type=float, default=6)
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    # SIGTERM must also stop the started processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # The logs stay, for failures.
    folder = options.pictures.resolve() / "logs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with sync_playwright() as playwright:
        processes = Processes(folder)
        # The sandbox of Chromium needs rights that containers do not give; it opens nothing but the nodes started here.
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        try:
            return Test(processes, browser, options.pictures.resolve(), options.binaries.resolve(), options.warm).run()
        finally:
            browser.close()
            processes.stop()


if __name__ == "__main__":
    sys.exit(main())
