#!/usr/bin/env python3
"""Holds the commands of the pages against the executables, and runs those that a page marks.

Everywhere: shell blocks parse; each command of parallax, parallaxd and parallax-witness, in blocks and in code spans, has sub-commands,
options and values that the executable has; redis-cli names commands of Redis; products of `swift run` and targets of `make` exist; a path
that curl calls is one of /openapi.json; configurations are accepted by `parallaxd --check-config`, patterns by a node. The table of routes
in docs/api.md is that of /openapi.json.

A page that marks blocks is followed from top to bottom, in a folder of its own, with free ports in place of those that it names:
  <!-- run -->                        before a console block: each command runs, and prints what stands below it
  <!-- run: exits with 1 -->          the same, and its last command has this exit code
  <!-- run: until "TEXT" -->          its one command stays in the background, and has printed TEXT and what stands below it
  <!-- stop -->                       the last of these ends, by SIGTERM
  <!-- setup: COMMAND -->             a command that readers do not see; `setup until "TEXT": COMMAND` stays in the background
  <!-- file: NAME -->                 before any block: its text is the content of this file
Words with a digit (times, ids, durations) are equal to each other, and a line `…` stands for any lines.

Usage: Scripts/check-commands.py FOLDER_OF_EXECUTABLES [--write]   (--write writes that table first; it needs the test environment of Scripts/install-test-tools.sh)
"""
import collections, concurrent.futures, http.client, json, os, pathlib, re, shlex, subprocess, sys, tempfile, time

from page_follower import BLOCK, LIMIT, Fault, Follower, commands, stop
from processes import free_port, request

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPAN = re.compile(r"(?<!`)`((?:parallax|parallaxd|parallax-witness|redis-cli) [^`\n]+)`(?!`)")
PROGRAMS = ("parallax", "parallaxd", "parallax-witness")
# Words that stand before a program and run it.
PREFIXES = {"sudo", "exec", "env", "time", "nohup", "!", "do", "then", "if", "while", "until", "else"}
SECTIONS = {"server", "redis", "highAvailability", "security", "agents", "executions", "limits", "patterns", "logging", "node"}


def pages():
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    # Decisions and the changelog speak of what was.
    return sorted(name for name in names.stdout.split() if (ROOT / name).exists() and name != "CHANGELOG.md" and "docs/decisions/" not in name)


def simple_commands(text):
    """The words of each simple command of a line, also of those within $(…)."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words, skip = [], False
    for word in lexer:
        if set(word) <= set("<>"):
            skip = True  # the name of a file follows
        elif set(word) <= set("();|&"):
            yield words
            words = []
        elif skip:
            skip = False
        else:
            for inner in re.findall(r"\$\((.*?)\)", word):
                yield from simple_commands(inner)
            words.append(word)
    yield words


Context = collections.namedtuple("Context", "executables node redis products targets folder")


class Executables:
    """What the executables accept, by their own help."""

    def __init__(self, folder):
        self.folder = folder
        self.commands = {name: json.loads(self.run(name, "--experimental-dump-help").stdout)["command"] for name in PROGRAMS[:2]}

    def run(self, name, *arguments, **options):
        return subprocess.run([self.folder / name, *arguments], capture_output=True, text=True, timeout=LIMIT, **options)

    def check(self, program, words, is_whole):
        """Raises a fault if the program does not take these words; `is_whole` demands what it cannot do without."""
        if program == "parallax-witness":
            if words[:1] == ["--"]:
                return
            if words[:1] not in (["--node-process"], ["--version"]):
                raise Fault("parallax-witness takes --, --node-process or --version first")
            return
        command, path, taken, given, index = self.commands[program], program, 0, set(), 0
        while index < len(words):
            word, index = words[index], index + 1
            options = {("--" if n["kind"] == "long" else "-") + n["name"]: a for a in self.arguments(command, program) for n in a.get("names", [])}
            name, equals, value = word.partition("=")
            if word == "--":
                return
            if word == "--generate-completion-script":
                return
            if word.startswith("-") and len(word) > 1:
                if name not in options:
                    raise Fault(f"{path} has no option {name}")
                given.add(options[name]["valueName"])
                if options[name]["kind"] == "option":
                    if not equals:
                        if index == len(words):
                            raise Fault(f"{path} {name} needs a value")
                        value, index = words[index], index + 1
                    self.check_value(path, name, value, options[name])
                continue
            sub = next((c for c in command.get("subcommands", []) if c["commandName"] == word), None)
            if sub:
                command, path, taken = sub, f"{path} {word}", 0
                continue
            places = [a for a in command.get("arguments", []) if a["kind"] == "positional"]
            if taken >= len(places) and not any(a["isRepeating"] for a in places):
                raise Fault(f"{path} does not take {word!r}")
            taken += 1
        if not is_whole or given & {"help", "version"}:
            return
        if any(c["commandName"] != "help" for c in command.get("subcommands", [])):
            raise Fault(f"{path} needs a sub-command")
        for argument in command.get("arguments", []):
            missing = taken == 0 if argument["kind"] == "positional" else argument["valueName"] not in given
            if not argument["isOptional"] and missing:
                raise Fault(f"{path} needs {argument['valueName']}")

    def arguments(self, command, program):
        """Those of a command; options of the server may stand before the sub-command."""
        server = self.commands["parallax"]["subcommands"][0]["subcommands"][0]["arguments"] if program == "parallax" else []
        return command.get("arguments", []) or server if command is not self.commands["parallax"] else command["arguments"] + server

    @staticmethod
    def check_value(path, name, value, argument):
        values = argument.get("allValues")
        if values and value not in values and not re.search(r"[A-Z$…]", value):
            raise Fault(f"{path} {name} has the values {', '.join(values)}, not {value}")


class Node:
    """A node with its state in memory, on a free port."""

    def __init__(self, executables, folder):
        self.port, self.output = free_port(), folder / "node.log"
        variables = {key: value for key, value in os.environ.items() if not key.startswith("PARALLAX_")}
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [executables.folder / "parallaxd", "--port", str(self.port), "--patterns", ROOT / "patterns"], stdout=output, stderr=output,
                cwd=folder, env=variables)
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                if request(self.port, "GET", "/health/ready")[0] == 200:
                    break
            except (OSError, http.client.HTTPException):
                pass
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.stop()
                raise SystemExit(f"error: the node is not ready:\n{self.output.read_text()}")
            time.sleep(0.05)
        self.paths = request(self.port, "GET", "/openapi.json")[1]["paths"]

    def stop(self):
        stop(self.process)

    def check(self, url, method):
        path = re.sub(r"^(https?://)?[^/]*", "", url).partition("?")[0]
        if not re.match(r"/(api|ha|health|metrics|openapi|ui/session)\b", path):
            return
        for template, operations in self.paths.items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                if method.lower() not in operations:
                    raise Fault(f"{path} does not answer {method}")
                return
        raise Fault(f"/openapi.json has no path {path}")


class Redis:
    """A Redis that tells which commands there are."""

    # Options of redis-cli that stand before a command, with and without a value.
    VALUED, FLAGS = {"-h", "-p", "-a", "-u", "-n", "--user", "--rdb"}, {"--askpass", "--tls", "--no-auth-warning", "--latency", "--bigkeys"}

    def __init__(self, folder):
        self.port, self.known = free_port(), {}
        with open(folder / "redis.log", "wb") as output:
            self.process = subprocess.Popen(
                ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)], stdout=output)
        deadline = time.monotonic() + LIMIT
        while self.ask("PING") != "PONG":
            if time.monotonic() > deadline:
                raise SystemExit(f"error: redis-server does not answer:\n{(folder / 'redis.log').read_text()}")
            time.sleep(0.05)

    def ask(self, *words):
        return subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, timeout=LIMIT).stdout.strip()

    def stop(self):
        stop(self.process)

    def check(self, words):
        index = 0
        while index < len(words) and words[index].startswith("-"):
            if words[index] == "--cluster":
                return  # commands of the tool itself
            if words[index] not in self.VALUED | self.FLAGS:
                raise Fault(f"redis-cli has no option {words[index]}")
            index += 2 if words[index] in self.VALUED else 1
        if index == len(words):
            return
        name = words[index].lower()
        if name != "sentinel" and not self.exists(name):  # only sentinels have it
            raise Fault(f"Redis has no command {words[index]}")
        if words[index + 1:] and name in ("config", "acl", "cluster", "client", "slowlog") and not self.exists(f"{name}|{words[index + 1].lower()}"):
            raise Fault(f"Redis has no command {words[index]} {words[index + 1]}")

    def exists(self, name):
        if name not in self.known:
            self.known[name] = name in self.ask("COMMAND", "INFO", name)
        return self.known[name]


def check_words(words, context, is_whole, counts):
    """Checks a simple command."""
    while words and (words[0] in PREFIXES or re.match(r"\w+=", words[0]) or words[0] == "nice"):
        words = words[3:] if words[:2] == ["nice", "-n"] else words[1:]
    if not words:
        return
    if words[:2] == ["swift", "run"]:
        index = 2
        while index < len(words) and words[index].startswith("-"):
            index += 2
        if "--package-path" not in words and index < len(words) and words[index] not in context.products:
            raise Fault(f"Package.swift has no product {words[index]}")
        words = words[index:] if index < len(words) else []
    elif words[:2] == ["swift", "build"] and "--product" in words and "--package-path" not in words:
        product = words[words.index("--product") + 1]
        if product not in context.products:
            raise Fault(f"Package.swift has no product {product}")
    if not words:
        return
    program = words[0].rpartition("/")[2]
    if program in PROGRAMS:
        context.executables.check(program, words[1:], is_whole)
        if program == "parallax-witness" and words[1:3] and words[1] == "--":
            check_words(words[2:], context, False, counts)
    elif program == "redis-cli":
        context.redis.check(words[1:])
    elif program == "make":
        for target in words[1:]:
            if "=" not in target and target not in context.targets:
                raise Fault(f"the Makefile has no target {target}")
    elif program == "curl":
        method = words[words.index("-X") + 1] if "-X" in words else "POST" if {"-d", "--data", "--data-binary"} & set(words) else "GET"
        for word in words[1:]:
            if re.match(r"https?://", word):
                context.node.check(word, method)
    else:
        return
    counts[program] = counts.get(program, 0) + 1


def check_block(language, text, context, counts):
    if language in ("console", "sh"):
        found = commands(language, text)
        parsed = subprocess.run(["bash", "-n"], input="\n".join(command for command, _ in found), capture_output=True, text=True)
        if parsed.returncode:
            raise Fault(parsed.stderr.strip())
        for command, _ in found:
            for words in simple_commands(command):
                check_words(words, context, True, counts)
    elif language in ("yaml", "yml"):
        keys = set(re.findall(r"^([\w-]+):", text, re.M))
        if keys and keys <= SECTIONS:
            counts["configurations"] = counts.get("configurations", 0) + 1
            check_configuration(text, context.executables, context.folder)
        elif "name" in keys and "agents" in keys:
            counts["patterns"] = counts.get("patterns", 0) + 1
            file = context.folder / "pattern.yaml"
            file.write_text(text)
            judged = context.executables.run("parallax", "patterns", "validate", str(file), "--server", f"http://127.0.0.1:{context.node.port}")
            if judged.returncode:
                raise Fault(f"the node refuses the pattern: {judged.stdout}{judged.stderr}")


def check_configuration(text, executables, folder):
    """Has parallaxd check a configuration; files that it names need not exist here, and secrets get values."""
    def secret(match):
        file = folder / f"secret-{abs(hash(match[0]))}"
        file.write_text(f"a-secret-of-a-page-{abs(hash(match[0]))}")
        return f"file:{file}"

    text = re.sub(r"file:/[^\s\"',}\]]+", secret, text)
    text = re.sub(r"sha256:[0-9a-f]*…", "sha256:" + "0" * 64, text)
    (folder / "page.yaml").write_text(text)
    variables = {name: "6379" if name == "PORT" else f"a-secret-{name.lower()}-0123456789" for name in re.findall(r"\$\{(\w+)\}", text)}
    judged = executables.run(
        "parallaxd", "--config", str(folder / "page.yaml"), "--check-config", env={"PATH": os.environ["PATH"], **variables})
    faults = [line for line in (judged.stdout + judged.stderr).splitlines() if line and "the file does not exist" not in line]
    if judged.returncode and faults:
        raise Fault("; ".join(faults))


def routes(paths):
    """The table of docs/api.md, from the description of a node."""
    lines = ["| route | | scope | query | body | answers |", "|---|---|---|---|---|---|"]
    common = {"400", "401", "403", "408", "413", "414", "417", "429", "431", "500", "501", "503", "505"}

    def name(schema):
        return f"`{schema['$ref'].rpartition('/')[2]}`" if "$ref" in schema else ""

    for path, item in sorted(paths.items()):
        for method, operation in item.items():
            if method == "parameters" or re.match(r"/api/(health|metrics)", path):
                continue
            scope = next((f"`{scopes[0]}`" for entry in operation.get("security", []) for scopes in entry.values()), "-")
            query = ", ".join(f"`{parameter['name']}`" for parameter in operation.get("parameters", []) if parameter["in"] == "query")
            body = ", ".join(filter(None, (name(c["schema"]) for c in operation.get("requestBody", {}).get("content", {}).values())))
            answers = []
            for status, response in operation["responses"].items():
                if status not in common or ("/health" in path and status == "503"):
                    schemas = {name(c["schema"]) for c in response.get("content", {}).values()} - {"", "`Error`"}
                    answers.append(" ".join([status, *sorted(schemas)]))
            lines.append(f"| `{method.upper()} {path}` | {operation['summary']} | {scope} | {query} | {body} | {', '.join(answers)} |")
    return "\n".join(lines) + "\n"


def check_routes(paths, is_written):
    """Compares the table of docs/api.md with the description, or writes it."""
    page = ROOT / "docs/api.md"
    text = page.read_text(encoding="utf-8")
    current = re.sub(r"(<!-- routes: .*? -->\n).*?(<!-- end of routes -->)", lambda match: match[1] + routes(paths) + match[2], text, flags=re.S)
    if is_written:
        page.write_text(current, encoding="utf-8")
    elif current != text:
        raise Fault("the routes are not those of /openapi.json; write them by Scripts/check-commands.py FOLDER --write")


def follow(pages, executables, folder, faults):
    """Follows pages beside each other, since most of their time is waiting; returns the number of commands that ran."""
    def one(page):
        home = folder / page.replace("/", "-")
        home.mkdir()
        follower = Follower(executables, home)
        try:
            follower.follow(pages[page])
        except Fault as fault:
            faults.append(f"{page}: {fault}")
        return follower.count

    with concurrent.futures.ThreadPoolExecutor(len(pages) or 1) as pool:
        return sum(pool.map(one, pages))


def main():
    is_written = sys.argv[2:] == ["--write"]
    if len(sys.argv) != (3 if is_written else 2):
        sys.exit(__doc__.rpartition("\n\n")[2])
    executables = Executables(pathlib.Path(sys.argv[1]).resolve())
    package = (ROOT / "Package.swift").read_text(encoding="utf-8")
    products = set(re.findall(r"(?:executable|library|executableTarget)\(\s*name: \"([\w-]+)\"", package))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    faults, counts, followed = [], {}, {}
    with tempfile.TemporaryDirectory(prefix="parallax-commands-") as folder:
        folder = pathlib.Path(folder)
        node, redis = Node(executables, folder), Redis(folder)
        context = Context(executables, node, redis, products, targets, folder)
        try:
            try:
                check_routes(node.paths, is_written)
            except Fault as fault:
                faults.append(f"docs/api.md: {fault}")
            for page in pages():
                text = (ROOT / page).read_text(encoding="utf-8")
                blocks = [match.groupdict() for match in BLOCK.finditer(text)]

                def attempt(what, check):
                    try:
                        check()
                    except Fault as fault:
                        faults.append(f"{page}: {what}{fault}")
                    except ValueError as error:  # of shlex
                        faults.append(f"{page}: {what}cannot be read: {error}")

                for block in blocks:
                    if block["text"] is not None:
                        attempt("", lambda: check_block(block["language"], block["text"], context, counts))
                for span in SPAN.findall(re.sub(r"^( *)```.*?^\1``` *$", "", text, flags=re.S | re.M)):
                    if re.search(r"[|…]", span):
                        continue  # a list of alternatives
                    attempt(f"`{span}`: ", lambda: [
                        check_words(words, context, False, counts) for words in simple_commands(span)])
                if any((block["mark"] or "").startswith("run") for block in blocks):
                    followed[page] = blocks
            ran = follow(followed, executables.folder, folder, faults)
        finally:
            node.stop()
            redis.stop()
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if faults:
        sys.exit(f"error: {len(faults)} faults in the commands of the pages")
    print(f"Commands: {', '.join(f'{count} {name}' for name, count in sorted(counts.items()))} are accepted; {ran} commands ran as shown")


if __name__ == "__main__":
    main()
