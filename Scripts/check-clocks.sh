#!/usr/bin/env bash
# Fails if code below Sources reads a clock or sleeps on a clock that a test cannot replace, and prints each such line: components take their
# Clock as an argument.
# Usage: Scripts/check-clocks.sh [DIRECTORY OF TARGETS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
sources=${1:-Sources}

# file or folder: why it may. A row without a use is reported and must be removed.
allowed='
ParallaxControlPlane/Node/NodeClock.swift:          the clock of a node is made here
ParallaxControlPlane/Node/NodeMembership.swift:     a clock is handed on
ParallaxControlPlane/Node/NodeAssembly+Parts.swift: a clock is handed on
ParallaxControlPlane/Cluster/Leadership.swift:      the type of the election names its clock
ParallaxControlPlane/Dispatch/Dispatcher.swift:     the Redis client says by this clock when a connection was made
ParallaxHA/Election/LeaderElection.swift:           the default of a public initializer
ParallaxHA/Duties/LeaderDuties.swift:               the default of a public initializer
ParallaxMetrics/Registry/MetricsRegistry.swift:     the default of a public initializer
ParallaxHTTP/HealthProbes.swift:                    the default of a public initializer
ParallaxServer/Server/HTTPServer.swift:             it stands beside the deadlines of SwiftNIO
ParallaxServer/API/APIResponder.swift:              it measures a request for the log
ParallaxRedis/:                                     connections live by the deadlines of SwiftNIO, and pause between attempts within them
ParallaxState/Store/Backend.swift:                  a backend says by this clock when its store may have lost writes
ParallaxRedisStores/RedisBackend.swift:             as Backend
ParallaxRedisStores/WriteCondition.swift:           the default of an initializer, and the instants of refusals
ParallaxRedisStores/State/RedisInboxStore.swift:    it pauses between attempts, as the client does
ParallaxTesting/Election/:                          conformance suites run against real stores
parallax/HA.swift:                                  the command-line tool shows the time of people
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
