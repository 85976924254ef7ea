#!/usr/bin/env bash
# Opens the dashboard of real nodes in a headless Chromium, in each of its states: 3 nodes, node down, no leader, no Redis, server killed,
# 10,000 executions and 1,000 agents, phone, dark, logged out. Checks what it shows, its accessibility (axe-core), errors of the console and
# of the Content-Security-Policy; about three minutes. The pictures of the states go to a folder.
# Chromium and its fonts come from the system's packages, Playwright and axe-core from PyPI, pinned, into .build/test-dashboard.
# Usage: Scripts/test-dashboard.sh [FOLDER_OF_EXECUTABLES [FOLDER_FOR_PICTURES [--warm SECONDS]]], by default those of the debug build and
# .build/dashboard
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=.build/test-dashboard
packages=(playwright==1.65.2 axe-playwright-python==0.1.8 websockets==15.0.1)

if [[ ${1:-} == -* ]]; then
  sed -n '/^# Usage/,/^[^#]/s/^# //p' "$0" >&2
  exit 2
fi
executables=${1:-$(swift build --show-bin-path)}
pictures=${2:-.build/dashboard}

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v redis-server >/dev/null || missing+=(redis-server)
# Without these a picture has whatever font there is.
for font in fonts-inter fonts-jetbrains-mono; do
  dpkg-query -W -f '${Status}' "$font" 2>/dev/null | grep -q 'ok installed' || missing+=("$font")
done
Scripts/install-packages.sh "the tests of the dashboard" "${missing[@]}"
if [[ "$(cat "$venv/packages" 2>/dev/null)" != "${packages[*]}" ]]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
  printf '%s' "${packages[*]}" >"$venv/packages"
fi
exec "$venv/bin/python" Scripts/dashboard.py "$executables" "$(command -v chromium)" "$pictures" "${@:3}"
