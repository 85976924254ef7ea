#!/usr/bin/env bash
# Runs cases 1 to 7, 9 and 10 of Autobahn|Testsuite against the handler of the agents' connections, and fails on each case that is not
# strictly right. The client comes from PyPI, pinned, into .build/test-conformance. The tests have to be built: swift build --build-tests.
# Usage: Scripts/test-websocket-conformance.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
client=$PWD/.build/test-conformance
package=kosoku==0.1.0

if [[ "$(cat "$client/package" 2>/dev/null)" != "$package" ]]; then
  python3 -m venv --clear "$client"
  "$client/bin/pip" install --quiet --disable-pip-version-check "$package"
  printf '%s' "$package" >"$client/package"
fi
PARALLAX_TEST_FUZZING_CLIENT="$client/bin/python $PWD/Scripts/websocket_conformance.py" \
  swift test --skip-build --disable-xctest --filter WebSocketConformanceTests
