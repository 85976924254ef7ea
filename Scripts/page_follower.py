"""Follows a page from top to bottom: runs the commands that it marks, and compares what they print; used by check-commands.py."""
import json, os, pathlib, re, shutil, subprocess, time

from processes import free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".build/test-venv/bin/python"
BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>(?:run|file)\b[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^``` *$"
    r"|^<!-- (?P<stop>stop) -->$|^<!-- setup(?: until (?P<until>\"[^\n]*?\"))?: (?P<setup>[^\n]*?) -->$", re.S | re.M)
# The ports that pages name; each page has free ones in their places.
PORTS = (8080, 8081, 8082, 6379)
# The folder of a Redis in the pages.
DATA = "/var/lib/redis"
LIMIT = 30


class Fault(Exception):
    pass


def commands(language, text):
    """The commands of a shell block, each with the lines that stand below it."""
    found = []
    for line in text.splitlines():
        if found and found[-1][0].endswith("\\"):
            found[-1][0] = found[-1][0][:-1] + line
        elif language == "sh":
            found.append([line, []])
        elif line.startswith("$ "):
            found.append([line[2:], []])
        elif found:
            found[-1][1].append(line)
    return found


def stop(process):
    process.terminate()
    try:
        process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Follower:
    def __init__(self, executables, folder):
        self.folder, self.running, self.count = folder, [], 0
        self.ports = {port: free_port() for port in PORTS}
        (folder / "redis").mkdir()
        (folder / "patterns").symlink_to(ROOT / "patterns")
        agent = "Examples/python-agent/agent.py"
        (folder / agent).parent.mkdir(parents=True)
        (folder / agent).write_text(self.local((ROOT / agent).read_text(encoding="utf-8")))
        # The programs of Redis on this page's port, unless a command names another one.
        programs = folder / "bin"
        programs.mkdir()
        for name, options in (("redis-cli", "-p"), ("redis-server", "--bind 127.0.0.1 --port")):
            if found := shutil.which(name):
                (programs / name).write_text(f'#!/bin/sh\nexec {found} {options} {self.ports[6379]} "$@"\n')
                (programs / name).chmod(0o755)
        self.variables = {key: value for key, value in os.environ.items() if not key.startswith("PARALLAX_")} | {
            "PATH": f"{programs}:{executables}:{PYTHON.parent}:{os.environ['PATH']}", "PARALLAX_PORT": str(self.ports[8080]),
            "PARALLAX_SERVER": f"http://127.0.0.1:{self.ports[8080]}", "PARALLAX_NODE_ID": "my-host", "NO_COLOR": "1"}

    def local(self, text):
        """A command or file of a page, for this machine."""
        text = re.sub(r"swift run (-c release )?(?=parallax)", "", text).replace(".venv/bin/python", str(PYTHON))
        text = text.replace(DATA, str(self.folder / "redis"))
        text = re.sub(r"\b(?:node-\d|NODE)(?=:8080)", "127.0.0.1", text)
        return re.sub(r"\b(" + "|".join(map(str, PORTS)) + r")\b", lambda match: str(self.ports[int(match[1])]), text)

    def follow(self, blocks):
        try:
            for block in blocks:
                mark, language, text = block["mark"] or "", block["language"], block["text"]
                if block["stop"]:
                    stop(self.running.pop())
                elif block["setup"] and block["until"]:
                    self.start(block["setup"], [], json.loads(block["until"]))
                elif block["setup"]:
                    self.run(block["setup"], [], 0)
                elif mark.startswith("file: "):
                    file = self.folder / mark[len("file: "):].strip()
                    file.write_text(self.local(text))
                    file.chmod(0o755)
                elif mark.startswith("run: until "):
                    [(command, shown)] = commands(language, text)
                    self.start(command, shown, json.loads(mark[len("run: until "):]))
                elif mark.startswith("run"):
                    found = commands(language, text)
                    exits = re.fullmatch(r"run: exits with (\d+)", mark)
                    for index, (command, shown) in enumerate(found):
                        self.run(command, shown, int(exits[1]) if exits and index == len(found) - 1 else 0)
        finally:
            while self.running:
                stop(self.running.pop())

    def run(self, command, shown, expected):
        """Runs a command to its end; what it exports counts for the next ones."""
        self.count += 1
        state = self.folder / ".environment"
        script = f"{self.local(command)}\nstatus=$?\nenv -0 >'{state}'\nexit $status"
        try:
            done = subprocess.run(
                ["bash", "-c", script], capture_output=True, text=True, cwd=self.folder, env=self.variables, timeout=LIMIT,
                stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise Fault(f"`{command}` has not ended after {LIMIT} s") from None
        output = done.stdout + done.stderr  # as on a terminal, where errors come last
        self.variables = dict(entry.split("=", 1) for entry in state.read_text().split("\0") if "=" in entry)
        if done.returncode != expected:
            raise Fault(f"`{command}` exits with {done.returncode}, not with {expected}: {output}")
        self.compare(command, shown, output)

    def start(self, command, shown, until):
        """Starts a command that stays, and waits until it has printed a text and what the page shows."""
        self.count += 1
        file = self.folder / f".output-{self.count}"
        with open(file, "wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", self.local(f"exec env {command}")], stdout=output, stderr=subprocess.STDOUT, cwd=self.folder,
                env=self.variables, stdin=subprocess.DEVNULL)
        self.running.append(process)
        deadline = time.monotonic() + LIMIT
        while until not in file.read_text():
            if time.monotonic() > deadline or process.poll() is not None:
                raise Fault(f"`{command}` has not printed {until!r}: {file.read_text()}")
            time.sleep(0.05)
        time.sleep(0.2)  # the lines that follow at once
        # A log of other things may stand between and behind what the page shows.
        self.compare(command, ["…", *(line for shown_line in shown for line in (shown_line, "…"))], file.read_text())

    def compare(self, command, shown, output):
        wanted = [None if line.strip() == "…" else self.canonical(line) for line in shown if line.strip()]
        lines = [self.canonical(line) for line in output.splitlines() if line.strip()]
        if wanted and not self.matches(wanted, lines):
            raise Fault(f"`{command}` prints something else:\n{output}")

    @staticmethod
    def canonical(line):
        """A line in which all words with a digit, as times, ids and ports, are equal."""
        return re.sub(r"\s+", " ", re.sub(r"[\w.:+/…-]*\d[\w.:+/…-]*", "#", line)).strip()

    @classmethod
    def matches(cls, wanted, lines):
        if not wanted:
            return not lines
        if wanted[0] is None:
            return any(cls.matches(wanted[1:], lines[index:]) for index in range(len(lines) + 1))
        return bool(lines) and wanted[0] == lines[0] and cls.matches(wanted[1:], lines[1:])
