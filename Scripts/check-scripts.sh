#!/usr/bin/env bash
# Checks the scripts with shellcheck, or only that they parse where shellcheck is not installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts=(.ci/run Scripts/*.sh)

for script in "${scripts[@]}"; do bash -n "$script"; done
if ! command -v shellcheck >/dev/null; then
  echo "Scripts: ${#scripts[@]} parse; shellcheck is not installed"
  exit 0
fi
shellcheck "${scripts[@]}"
echo "Scripts: ${#scripts[@]} pass $(shellcheck --version | sed -n 's/^version: /shellcheck /p')"
