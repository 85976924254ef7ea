#!/usr/bin/env bash
# Fails if code below Sources reads a clock or sleeps on a clock that a test cannot replace, and prints each such line: components take their
# Clock as an argument.
#
# Event loops measure the deadlines of commands, requests and connections (NIODeadline); this script does not check them.
#
# Usage: Scripts/check-clocks.sh [DIRECTORY OF TARGETS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
sources=${1:-Sources}

# file or folder: why it may. A row without a use is reported and must be removed.
allowed='
ParallaxControlPlane/Node/NodeClock.swift:          the clock of a node is made here
ParallaxHA/Election/LeaderElection.swift:           the default of a public initializer
ParallaxHA/Store/ElectionStore+Death.swift:         the default of a public method
ParallaxHA/Store/MembershipStore+Death.swift:       the default of a public method
ParallaxHA/Duties/LeaderDuties.swift:               the default of a public initializer
ParallaxMetrics/Registry/MetricsRegistry.swift:     the default of a public initializer
ParallaxHTTP/HealthProbes.swift:                    the default of a public initializer
ParallaxRedis/Client/RedisClient.swift:             the default of a public initializer
ParallaxRedisStores/RedisBackend.swift:             the default of a public initializer
ParallaxRedisStores/State/RedisInboxStore.swift:    the default of a public initializer
ParallaxState/Store/InMemoryBackend.swift:          the default of a public method
ParallaxTesting/Clock/ManualClock.swift:            the default of a public method: real time limits a wait of a test
ParallaxAgent/ParallaxAgent.swift:                  the default of a public initializer
parallax/:                                          a command lives by the clock of its machine
'

# Comments may name a clock.
grep -rnE 'Task\.sleep|\b(ContinuousClock|SuspendingClock)\b|\bu?sleep\([0-9]' "$sources" --include='*.swift' \
  | grep -vE '^[^:]+:[0-9]+:[[:space:]]*//' | awk -v root="$sources/" -v allowed="$allowed" '
  BEGIN {
    rows = split(allowed, lines, "\n")
    for (i = 1; i <= rows; i++) if (match(lines[i], /: +/)) places[substr(lines[i], 1, RSTART - 1)] = 0
  }
  {
    path = substr($0, 1, index($0, ":") - 1)
    name = substr(path, length(root) + 1)
    found = 0
    for (place in places) if (name == place || place ~ /\/$/ && index(name, place) == 1) { places[place]++; found = 1 }
    if (!found) { print $0; violations++ }
    uses++
  }
  END {
    for (place in places) if (!places[place]) { printf "%s: its row in the table can go\n", place }
    if (violations) { printf "%d violations: take a Clock as an argument\n", violations; exit 1 }
    printf "Clocks: %d uses, all in the table\n", uses
  }'
