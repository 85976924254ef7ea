#!/usr/bin/env bash
# Expected: amtool check-config fails a receiver whose text is a template that nothing defines, and a pattern of template files without a file.
# Happens:  amtool 0.25.0 counts the pattern as "1 templates" and says SUCCESS; Alertmanager starts, is ready, and drops each notification.
# Matters:  one misspelled or forgotten template silences a receiver: that is noticed after the incident of which it was to tell.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(
  cd "$folder"
  apt-get download -qq -o APT::Sandbox::User=root prometheus-alertmanager=0.25.0-1+b4
  dpkg-deb -x prometheus-alertmanager_*.deb debian
  # Debian's Alertmanager reads its own templates from /usr/share: it runs with the folder as its root.
  mkdir -p debian/tmp
  ldd debian/usr/bin/prometheus-alertmanager | grep -o '/[^ ]*' | while read -r library; do
    install -D "$library" "debian$library"
  done
)
cat >"$folder/notify.py" <<'PYTHON'
import http.server, json, pathlib, re, socket, subprocess, sys, threading, time, urllib.request

root = pathlib.Path(sys.argv[1]) / "debian"
arrived = []

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        arrived.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["attachments"][0]["text"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *words):
        pass

def request(port, path, body=None):
    address = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(address, timeout=5) as answer:
        return answer.read().decode()

def ready(port):
    for _ in range(200):
        try:
            return request(port, "/-/ready").strip()
        except OSError:
            time.sleep(0.05)
    raise SystemExit("Alertmanager does not start")

receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
version = subprocess.run([root / "usr/bin/amtool", "--version"], capture_output=True, text=True)
print((version.stdout + version.stderr).split(" (")[0])
for number, text in enumerate(('{{ .Status }}', '{{ template "team.txet" . }}')):
    arrived.clear()
    (root / "tmp/configuration.yml").write_text(json.dumps({
        "route": {"receiver": "team", "group_wait": "0s"}, "templates": ["/nowhere/*.tmpl"],
        "receivers": [{"name": "team", "slack_configs": [
            {"api_url": f"http://127.0.0.1:{receiver.server_port}/", "channel": "#team", "text": text}]}]}))
    check = subprocess.run([root / "usr/bin/amtool", "check-config", root / "tmp/configuration.yml"], capture_output=True, text=True)
    templates = re.search("[0-9]+ templates", check.stdout).group()
    print(f"{text}: amtool exits with {check.returncode}: {check.stdout.split()[2]}, with {templates}")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen(
        ["unshare", "--map-root-user", f"--root={root}", "/usr/bin/prometheus-alertmanager",
         "--config.file=/tmp/configuration.yml", f"--storage.path=/tmp/storage-{number}", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="], stderr=subprocess.DEVNULL)
    try:
        state = ready(port)
        request(port, "/api/v2/alerts", json.dumps([{"labels": {"alertname": "Down"}}]).encode())
        for _ in range(100):
            failed = int(re.search(r'_notifications_failed_total\{integration="slack"\} (\d+)', request(port, "/metrics")).group(1))
            if arrived or failed:
                break
            time.sleep(0.1)
        print(f"  Alertmanager says {state} and delivers {arrived}, failed: {failed > 0}")
    finally:
        server.terminate()
        server.wait()
receiver.shutdown()
PYTHON
seen=$(python3 "$folder/notify.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
amtool, version 0.25.0
{{ .Status }}: amtool exits with 0: SUCCESS, with 1 templates
  Alertmanager says OK and delivers ['firing'], failed: False
{{ template "team.txet" . }}: amtool exits with 0: SUCCESS, with 1 templates
  Alertmanager says OK and delivers [], failed: True
EXPECTED
