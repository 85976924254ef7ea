#!/usr/bin/env bash
# Expected: a port of client-go's leader election waits a lease by elapsed time, so that a step of the wall clock elects nobody.
# Happens:  kubernetes 37.0.2 for Python compares readings of time.time(): after a step of one hour a standby takes a lease of 15 s at once.
# Matters:  one NTP step at a standby makes a second leader beside one that lives; a lease must be timed by a monotonic clock.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check kubernetes==37.0.2
cat >"$folder/step.py" <<'PYTHON'
import importlib.metadata, time
from unittest import mock
from kubernetes.leaderelection.electionconfig import Config
from kubernetes.leaderelection.leaderelection import LeaderElection
from kubernetes.leaderelection.leaderelectionrecord import LeaderElectionRecord


class Lock:
    """A lock in memory, held by another candidate that renewed it a moment ago."""
    name, namespace, identity = "lock", "default", "standby"
    record = LeaderElectionRecord("leader", "15", "2026-01-01 00:00:00", "2026-01-01 00:00:00")

    def get(self, name, namespace):
        return True, self.record

    def update(self, name, namespace, record):
        self.record = record
        return True


standby = LeaderElection(Config(Lock(), lease_duration=15, renew_deadline=10, retry_period=2, onstarted_leading=print, onstopped_leading=print))
began = time.monotonic()
real = time.time
print("kubernetes", importlib.metadata.version("kubernetes"))
print("acquired before the step:", standby.try_acquire_or_renew())
with mock.patch("time.time", lambda: real() + 3600):
    print("acquired after a step of one hour:", standby.try_acquire_or_renew())
print("less than a second has passed:", time.monotonic() - began < 1)
PYTHON
seen=$("$folder/venv/bin/python" "$folder/step.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
kubernetes 37.0.2
acquired before the step: False
acquired after a step of one hour: True
less than a second has passed: True
EXPECTED
