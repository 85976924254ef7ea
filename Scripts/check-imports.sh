#!/usr/bin/env bash
# Holds the floors: which modules each target may import. Imports point down only; ParallaxHA and ParallaxState know no network and
# no Redis; ParallaxTesting needs no test framework. Prints each violation and fails if there is one.
# Usage: Scripts/check-imports.sh [DIRECTORY OF TARGETS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
sources=${1:-Sources}

# target: modules. FoundationEssentials stands for the small Foundation; where a platform has only the large one, the import in the
# #else of `#if canImport(FoundationEssentials)` counts as the small one.
floors='
ParallaxConcurrency:  Synchronization
ParallaxHA:           Synchronization FoundationEssentials Logging CoreMetrics ServiceLifecycle ParallaxConcurrency
ParallaxAPI:          FoundationEssentials Foundation
ParallaxState:        Synchronization FoundationEssentials DequeModule HeapModule ParallaxHA ParallaxAPI ParallaxConcurrency
ParallaxRedis:        Synchronization FoundationEssentials Glibc Musl Darwin DequeModule NIOCore NIOPosix NIOSSL Crypto Tracing Logging CoreMetrics ServiceLifecycle ParallaxConcurrency
ParallaxMetrics:      Synchronization FoundationEssentials Glibc Musl Darwin CoreMetrics
ParallaxRedisStores:  Synchronization FoundationEssentials Foundation Logging ParallaxHA ParallaxState ParallaxAPI ParallaxRedis ParallaxConcurrency
ParallaxHTTP:         Synchronization FoundationEssentials Foundation DequeModule Hummingbird HummingbirdCore HTTPTypes NIOCore NIOPosix NIOHTTP1 NIOWebSocket NIOHTTPTypes NIOHTTPTypesHTTP1 Logging CoreMetrics ServiceLifecycle ParallaxAPI ParallaxHA ParallaxState ParallaxMetrics ParallaxConcurrency
ParallaxControlPlane: Synchronization FoundationEssentials Foundation Glibc Musl Darwin DequeModule HeapModule NIOCore NIOPosix NIOSSL Crypto Yams Logging CoreMetrics ServiceLifecycle ParallaxHA ParallaxAPI ParallaxState ParallaxRedis ParallaxRedisStores ParallaxMetrics ParallaxHTTP ParallaxConcurrency
ParallaxTesting:      Synchronization FoundationEssentials ParallaxHA ParallaxState ParallaxAPI ParallaxConcurrency
parallaxd:            FoundationEssentials Foundation Glibc Musl Darwin ArgumentParser Logging ServiceLifecycle UnixSignals ParallaxAPI ParallaxControlPlane
parallax:             FoundationEssentials Foundation Glibc Musl Darwin ArgumentParser AsyncHTTPClient NIOCore NIOFoundationCompat NIOHTTP1 NIOPosix ParallaxAPI
'

# shellcheck disable=SC2016 # awk's own fields, not the shell's
find "$sources" -name '*.swift' -print | LC_ALL=C sort | xargs awk -v root="$sources" -v floors="$floors" '
  BEGIN {
    rows = split(floors, lines, "\n")
    for (i = 1; i <= rows; i++) {
      words = split(lines[i], word, /[: ]+/)
      if (words < 2) continue
      known[word[1]] = 1
      for (j = 2; j <= words; j++) allowed[word[1], word[j]] = 1
    }
  }
  FNR == 1 {
    target = substr(FILENAME, length(root) + 2)
    sub(/\/.*/, "", target)
    small = fallback = 0
    if (!(target in known) && !(target in reported)) {
      printf "%s/%s: this target has no line in the table of floors\n", root, target
      reported[target] = 1
      violations++
    }
  }
  /^[ \t]*#if[ \t]+canImport\(FoundationEssentials\)/ { small = 1 }
  /^[ \t]*#else/ && small { fallback = 1 }
  /^[ \t]*#endif/ { small = fallback = 0 }
  /^[ \t]*((@[A-Za-z_]+(\([^)]*\))?|public|package|internal|private|fileprivate)[ \t]+)*import[ \t]+[A-Za-z_]/ {
    module = $0
    sub(/^.*import[ \t]+((struct|class|enum|protocol|actor|func|var|let|typealias)[ \t]+)?/, "", module)
    sub(/[^A-Za-z0-9_].*/, "", module)
    if (module == "Foundation" && fallback) module = "FoundationEssentials"
    imports++
    if (target in known && !((target, module) in allowed)) {
      printf "%s:%d: %s must not import %s\n", FILENAME, FNR, target, module
      violations++
    }
  }
  END {
    if (violations) { printf "%d violations of the floors\n", violations; exit 1 }
    printf "Import floors: %d imports hold them\n", imports
  }'
