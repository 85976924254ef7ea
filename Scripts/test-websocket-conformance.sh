#!/usr/bin/env bash
# Runs cases 1 to 7, 9, 10, 12 and 13 of Autobahn|Testsuite against Benchmarks' websocket-echo, which is the handler of the agents'
# connections with binary messages and compression, and fails on each case that is not strictly right. The client comes from PyPI, pinned,
# into .build/test-conformance.
# Usage: Scripts/test-websocket-conformance.sh [CASE…], such as 6.* or 1.1.1
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
client=$PWD/.build/test-conformance
package=kosoku==0.1.0

if [[ "$(cat "$client/package" 2>/dev/null)" != "$package" ]]; then
  python3 -m venv --clear "$client"
  "$client/bin/pip" install --quiet --disable-pip-version-check "$package"
  printf '%s' "$package" >"$client/package"
fi
swift build -c release --package-path Benchmarks --product websocket-echo
log=$client/echo.log
"$(swift build -c release --package-path Benchmarks --show-bin-path)/websocket-echo" --port 0 >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null' EXIT
for _ in {1..100}; do
  url=$(sed -n 's/^listening on //p' "$log")
  if [[ -n "$url" ]] || ! kill -0 "$server" 2>/dev/null; then break; fi
  sleep 0.1
done
if [[ -z "$url" ]]; then
  echo "error: websocket-echo does not listen: $(cat "$log")" >&2
  exit 1
fi
"$client/bin/python" Scripts/websocket_conformance.py "$url" "$@"
