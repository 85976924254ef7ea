#!/usr/bin/env bash
# Expected: a client reports the close code that it was sent. 1012 (service restart), 1013 (try again later) and 1014 (bad gateway) are
#           registered with IANA, as RFC 6455 section 7.4.2 provides, and websockets 17.4 reports them.
# Happens:  Qt 6.11.2 takes each of the three for an error of the protocol: it reports 1002, and its own words instead of the server's reason.
# Matters:  a program that tells a restarting server from one that it cannot talk to gives up, or complains, where it should connect again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check PyQt6==6.11.0 PyQt6-Qt6==6.11.2 websockets==17.4
"$folder/venv/bin/python" - <<'PYTHON'
import threading
from PyQt6.QtCore import QCoreApplication, QTimer, QUrl, qVersion
from PyQt6.QtWebSockets import QWebSocket
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve

CODES = (1000, 1001, 1011, 1012, 1013, 1014, 3000)
# The path of the connection tells the code to close with.
server = serve(lambda socket: socket.close(int(socket.request.path[1:]), "restart"), "127.0.0.1", 0)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
application = QCoreApplication([])

def by_qt(code):
    socket = QWebSocket()
    socket.disconnected.connect(application.quit)
    QTimer.singleShot(10_000, application.quit)
    socket.open(QUrl(f"{address}/{code}"))
    application.exec()
    return int(getattr(socket.closeCode(), "value", socket.closeCode())), socket.closeReason()

def by_websockets(code):
    with connect(f"{address}/{code}") as socket:
        try:
            socket.recv(timeout=10)
        except ConnectionClosed as end:
            return end.rcvd.code, end.rcvd.reason

print("Qt", qVersion())
for code in CODES:
    qt, other = by_qt(code), by_websockets(code)
    print(f"sent {code} 'restart': Qt reports {qt[0]} '{qt[1]}', websockets {other[0]} '{other[1]}'")
    assert other == (code, "restart")
    assert qt[0] == (1002 if 1012 <= code <= 1014 else code)
server.shutdown()
PYTHON
