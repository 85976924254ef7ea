#!/usr/bin/env bash
# Expected: promtool check metrics, "for consistency and correctness", reports a page that has one series twice with different values, or a
#           histogram whose buckets fall and whose count is not that of its last bucket.
# Happens:  promtool 2.42.0 finds nothing and exits with 0, while it reports a missing help text. Prometheus counts such a page as a good
#           scrape, up 1, and keeps the first value.
# Matters:  an exporter that exports a part twice, or shares a histogram's parts between threads, passes its pipeline and shows wrong values.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(
  cd "$folder"
  apt-get download -qq -o APT::Sandbox::User=root prometheus=2.42.0+ds-5+deb12u1
  dpkg-deb -x prometheus_*.deb debian
)
cat >"$folder/check.py" <<'PYTHON'
import http.server, json, pathlib, socket, subprocess, sys, threading, time, urllib.error, urllib.parse, urllib.request

PAGES = {
    "no help text": "# TYPE jobs gauge\njobs 1\n",
    "a series twice": "# HELP jobs Jobs.\n# TYPE jobs gauge\njobs 1\njobs 2\n",
    "buckets that fall": "# HELP wait_seconds Wait.\n# TYPE wait_seconds histogram\n" + "".join(
        f'wait_seconds_bucket{{le="{bound}"}} {count}\n' for bound, count in (("1", 5), ("2", 3), ("+Inf", 9))) +
        "wait_seconds_sum 4\nwait_seconds_count 7\n",
}

class Exporter(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(PAGES["a series twice"].encode())

    def log_message(self, *words):
        pass

def value_of(query):
    """The value of a query, once Prometheus has one."""
    for _ in range(200):
        try:
            address = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
            with urllib.request.urlopen(address, timeout=5) as answer:
                if found := json.load(answer)["data"]["result"]:
                    return found[0]["value"][1]
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.1)
    raise SystemExit(f"no value of {query}")

folder = pathlib.Path(sys.argv[1])
programs = folder / "debian/usr/bin"
print(subprocess.run([programs / "promtool", "--version"], capture_output=True, text=True).stdout.split("+")[0])
for name, page in PAGES.items():
    result = subprocess.run([programs / "promtool", "check", "metrics"], input=page, capture_output=True, text=True)
    print(f"{name}: exit code {result.returncode} {result.stdout}{result.stderr}".strip())
exporter = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
threading.Thread(target=exporter.serve_forever, daemon=True).start()
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
(folder / "prometheus.yml").write_text(
    "global: { scrape_interval: 1s }\nscrape_configs:\n  - job_name: exporter\n    static_configs:\n"
    f"      - targets: ['127.0.0.1:{exporter.server_address[1]}']\n")
prometheus = subprocess.Popen(
    [programs / "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
     f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
try:
    print("Prometheus has jobs", value_of("jobs"), "and up", value_of("up"))
finally:
    prometheus.terminate()
    prometheus.wait()
PYTHON
seen=$(python3 "$folder/check.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
promtool, version 2.42.0
no help text: exit code 3 jobs no help text
a series twice: exit code 0
buckets that fall: exit code 0
Prometheus has jobs 1 and up 1
EXPECTED
