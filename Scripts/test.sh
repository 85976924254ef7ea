#!/usr/bin/env bash
# Runs the stages of `make test`: prints the expected duration first, continues after a failed stage, and ends with a summary that repeats
# every failure. Fails if a stage failed. The output of each stage is in .build/test-logs.
# Usage: Scripts/test.sh [test|all], where all adds the thread sanitizer and fuzzing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
what=${1:-test}
if [[ ! $what =~ ^(test|all)$ ]]; then
  sed -n '/^# Usage/s/^# //p' "$0" >&2
  exit 2
fi

logs=.build/test-logs
# Warnings are errors here, but not for packages that use this one.
strict=(env PARALLAX_STRICT=1)
# Tests that start together also start their servers together: more of them at once only slow each other down.
suites=("${strict[@]}" SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=16 swift test --disable-xctest)
# Tests that stand still fail here, with their names, rather than at the limit of who runs them.
limit=(timeout --kill-after=30 3000)
# The summary repeats at most this many lines of a stage.
repeated_lines=120

names=()
results=()
failed=0

# stage NAME COMMAND [ARGUMENT…]: runs the command and shows its output; the summary has its result.
stage() {
  local name=$1 log began=$SECONDS status=0
  log=$logs/${#names[@]}.log
  shift
  echo "== $name"
  "$@" 2>&1 | tee "$log" || status=$?
  names+=("$name")
  if [ "$status" -eq 0 ]; then
    echo "== $name: $((SECONDS - began)) s"
    results+=("passed, $((SECONDS - began)) s")
  else
    echo "== $name: FAILED with status $status after $((SECONDS - began)) s"
    results+=("FAILED, $((SECONDS - began)) s")
    failed=$((failed + 1))
  fi
  return "$status"
}

# skip NAME REASON: records a stage that cannot run after the failure of another.
skip() {
  names+=("$1")
  results+=("not run: $2")
  echo "== $1: not run: $2"
}

# Prints the failures in a log: failed expectations with their messages, crashes, errors of compilers and scripts, and the tests that did
# not end; of those that ended last the log may lack the lines.
failures_of() {
  local found
  # Arguments of tests contain what no text has.
  found=$(tr -d '\000' <"$1" | awk '
    /recorded an issue|: error: |^error: |Fatal error:|unexpected signal|^FAILED|: warning: / { print; details = 1; next }
    details && /^(↳|  *↳|\/\/ )/ { print; next }
    { details = 0 }
    /^◇ Test .* started\.$/ && !/^◇ Test (case|run) / { sub(/^◇ /, ""); sub(/ started\.$/, ""); begun[$0] = 1 }
    /(✔|✘) Test .* (passed|failed) after / { sub(/.*(✔|✘) /, ""); sub(/( with [0-9]+ test cases?)? (passed|failed) after .*/, ""); delete begun[$0] }
    /Test run with .* (passed|failed) after / { ended = 1 }
    END { if (!ended) for (test in begun) print "FAILED, did not end: " test }
  ' | sed -E 's/\x1b\[[0-9;]*m//g')
  if [ -z "$found" ]; then found=$(tail -n 20 "$1"); fi
  printf '%s\n' "$found" | head -n "$repeated_lines"
  local lines
  lines=$(printf '%s\n' "$found" | wc -l)
  if [ "$lines" -gt "$repeated_lines" ]; then echo "… $((lines - repeated_lines)) more lines"; fi
}

summarize() {
  local i
  echo
  echo "== Summary, $SECONDS s"
  for i in "${!names[@]}"; do
    [[ ${results[i]} == FAILED* ]] || continue
    echo
    echo "-- ${names[i]}, full log in $logs/$i.log:"
    failures_of "$logs/$i.log" | sed 's/^/   /'
  done
  echo
  for i in "${!names[@]}"; do
    printf '   %-50s %s\n' "${names[i]}" "${results[i]}"
    # The number of tests, from the last line of the test runs.
    if [ -f "$logs/$i.log" ]; then sed -n -E 's/^.*(Test run with .*)$/      \1/p' "$logs/$i.log" | tail -n 1; fi
  done
  if [ "$failed" -gt 0 ]; then
    echo "   $failed of ${#names[@]} stages failed."
  else
    echo "   All ${#names[@]} stages passed."
  fi
}

expected="about 25 minutes on two cores, as nothing is built yet"
if [ -d .build/debug/ParallaxHTTPTests.build ]; then expected="about 12 minutes on two cores, as most is built already"; fi
if [ "$what" = all ]; then expected+=", and as long again for the thread sanitizer and the fuzzers"; fi
echo "This takes $expected; this machine has $(getconf _NPROCESSORS_ONLN)."

# After an interrupt no further stage begins.
trap 'summarize; exit 130' INT
rm -rf "$logs"
mkdir -p "$logs"

stage "Tools that the tests need" Scripts/install-test-tools.sh || true
stage "Scripts" Scripts/check-scripts.sh || true
stage "Format and documentation lint" Scripts/check-format.sh || true
stage "Spelling" Scripts/check-spelling.sh || true
stage "Links and paths of the pages" Scripts/check-pages.py || true
stage "Events of the log" Scripts/check-log-events.py || true
stage "Import floors" Scripts/check-imports.sh || true
stage "Clock floors" Scripts/check-clocks.sh || true
stage "Slips fit the sources" Scripts/mutants.py --check || true
stage "What consumers resolve" Scripts/check-consumers.sh || true
stage "Alerts and dashboards" Scripts/check-alerts.sh || true
stage "Model of the election" Scripts/check-model.sh || true
stage "The chart's Redis" Scripts/test-redis-group.sh short || true
if stage "Build, warnings are errors" "${strict[@]}" swift build --build-tests; then
  stage "Commands of the pages" Scripts/check-commands.py .build/debug || true
  stage "Queries of rules, dashboards and pages" Scripts/check-queries.py .build/debug || true
  stage "Tests" "${limit[@]}" "${suites[@]}" --skip-build || true
  stage "Nodes behind nginx" Scripts/test-proxies.sh short || true
  stage "Chart, manifests, image and composition" Scripts/check-deploy.sh || true
  stage "Version, bill of materials and release" Scripts/check-release.sh || true
  stage "The API against its description" Scripts/test-openapi.sh || true
else
  skip "Tests" "the build failed"
fi
stage "Examples for embedders, without SwiftNIO" Scripts/check-examples.sh || true
if [ "$what" = all ]; then
  stage "What consumers compile" Scripts/check-consumers.sh build || true
  stage "Examples with Redis and with HTTP" Scripts/check-examples.sh all || true
  stage "Tests under the thread sanitizer" "${suites[@]}" --sanitize=thread --scratch-path .build/thread-sanitizer || true
  stage "Redis 7.4 and 8.2, Valkey 9.1, Redis 6.2 refused" Scripts/test-servers.sh || true
  stage "The chart's Redis on Redis 7.0 and Valkey 9.1" Scripts/test-redis-group.sh all || true
  stage "WebSocket libraries as agents" Scripts/test-clients.sh || true
  stage "Autobahn cases on the agents' handler" Scripts/test-websocket-conformance.sh || true
  stage "Nodes behind nginx, HAProxy, Envoy and Caddy" Scripts/test-proxies.sh all || true
  stage "The dashboard in Chromium" Scripts/test-dashboard.sh || true
  stage "Fuzzing of the Redis decoder" Scripts/fuzz.sh 60 || true
fi

summarize
[ "$failed" -eq 0 ]
