#!/usr/bin/env bash
# Runs one phase of a check and says how long it took. Usage: Scripts/timed.sh "NAME" COMMAND [ARGUMENT…]
set -euo pipefail
name=$1
shift
echo "== $name"
"$@"
echo "== $name: ${SECONDS} s"
