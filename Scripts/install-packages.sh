#!/usr/bin/env bash
# Installs packages of the system by apt-get and prints their names; does nothing without packages.
# Usage: Scripts/install-packages.sh PURPOSE [PACKAGE…], where messages name the PURPOSE, as in "the tests".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
who=$1
shift

[ $# -gt 0 ] || exit 0
sudo=
if ! command -v apt-get >/dev/null; then
  echo "error: $who need: $*. This system has no apt-get: install them with its package manager, then run this again." >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "error: $who need: $*. Install them as root: apt-get install --no-install-recommends $*" >&2
    exit 1
  fi
  sudo=sudo
fi
mkdir -p .build
echo "Installing by apt-get: $*"
# In run level 1 the packages' init scripts start no service: the tests start servers of their own.
if ! { $sudo apt-get update -q &&
  $sudo env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"; } >.build/apt.log 2>&1; then
  tail -n 20 .build/apt.log >&2
  echo "error: apt-get could not install: $* (its output: .build/apt.log)" >&2
  exit 1
fi
