#!/usr/bin/env bash
# Expected: a crontab line with a day of the month and a weekday runs on days that are either, as in crontab(5) and cronsim.
# Happens:  CronTrigger.from_crontab of APScheduler 3.11.3, for "a standard crontab expression", runs only on days that are both.
# Matters:  of the line for each first of a month and each Monday 2 runs of 62 a year are left; the first may be half a year away.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check APScheduler==3.11.3 cronsim==2.8
cat >"$folder/lines.py" <<'PYTHON'
import datetime, importlib.metadata
from apscheduler.triggers.cron import CronTrigger
from cronsim import CronSim

start = datetime.datetime(2026, 6, 2, tzinfo=datetime.timezone.utc)
end = start + datetime.timedelta(days=365)

def by_apscheduler(line):
    trigger = CronTrigger.from_crontab(line, timezone=datetime.timezone.utc)
    time = trigger.get_next_fire_time(None, start)
    while True:
        yield time
        time = trigger.get_next_fire_time(time, time)

def by_cronsim(line):
    return CronSim(line, start)

for line in ("0 3 1 * *", "0 3 * * mon", "0 3 1 * mon"):
    print("within a year,", line, "runs")
    for name, schedule in {"cronsim": by_cronsim, "apscheduler": by_apscheduler}.items():
        times = []
        for time in schedule(line):
            if time >= end:
                break
            times.append(time)
        print(f"  with {name} {importlib.metadata.version(name)}: {len(times)} times, first on {times[0]:%A, %d %B}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/lines.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
within a year, 0 3 1 * * runs
  with cronsim 2.8: 12 times, first on Wednesday, 01 July
  with apscheduler 3.11.3: 12 times, first on Wednesday, 01 July
within a year, 0 3 * * mon runs
  with cronsim 2.8: 52 times, first on Monday, 08 June
  with apscheduler 3.11.3: 52 times, first on Monday, 08 June
within a year, 0 3 1 * mon runs
  with cronsim 2.8: 62 times, first on Monday, 08 June
  with apscheduler 3.11.3: 2 times, first on Monday, 01 February
EXPECTED
