#!/usr/bin/env bash
# Holds a node against its own description at /openapi.json: the description is valid, and the answers to what schemathesis makes of it are
# those that it names, while an agent is connected. The node has to be built: swift build --product parallaxd.
# Usage: Scripts/test-openapi.sh [FOLDER OF parallaxd] [--examples NUMBER]   (20 for each operation and phase by default)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=.build/test-openapi
packages="schemathesis==4.32.5 openapi-spec-validator==0.9.0 $(cat Examples/python-agent/requirements.txt)"

if ! grep -qxF "$packages" "$venv/packages" 2>/dev/null; then
  echo "Installing in $venv: $packages"
  python3 -m venv --clear "$venv"
  # shellcheck disable=SC2086 # one word per package
  "$venv/bin/pip" install --quiet --disable-pip-version-check $packages
  echo "$packages" >"$venv/packages"
fi
binaries=$PWD/.build/debug
if [ -n "${1:-}" ] && [ -d "$1" ]; then
  binaries=$1
  shift
fi
exec "$venv/bin/python" Scripts/test_openapi.py "$binaries" "$@"
