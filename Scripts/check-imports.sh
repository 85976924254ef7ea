#!/usr/bin/env bash
# Checks the modules that each target imports against the floors: imports point down only; ParallaxHA and ParallaxState import no network
# and no Redis; ParallaxTesting needs no test framework; one file of ParallaxControlPlane chooses the backend, and its
# diagnosis examines it. Prints each violation and fails if there is one.
#
# The table in this script is the one source of the floors; the table in ARCHITECTURE.md is written from it and compared with it.
#
# Usage: Scripts/check-imports.sh [DIRECTORY OF TARGETS]
#        Scripts/check-imports.sh --write    writes the table into ARCHITECTURE.md
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
sources=${1:-Sources}

# A number is the floor of the targets below it. Each target has the modules that it may import. Where a platform lacks
# FoundationEssentials, the import of Foundation in the #else of `#if canImport(FoundationEssentials)` counts as FoundationEssentials.
floors='
0
ParallaxConcurrency:  Synchronization
ParallaxText:
ParallaxHA:           Synchronization FoundationEssentials Logging CoreMetrics ServiceLifecycle ParallaxConcurrency ParallaxText
ParallaxAPI:          FoundationEssentials Foundation
1
ParallaxState:        Synchronization FoundationEssentials DequeModule HeapModule ServiceLifecycle ParallaxHA ParallaxAPI ParallaxConcurrency
ParallaxRedis:        Synchronization FoundationEssentials Glibc Musl Darwin DequeModule NIOCore NIOPosix NIOSSL Crypto Tracing Logging CoreMetrics ServiceLifecycle ParallaxConcurrency ParallaxText
ParallaxMetrics:      Synchronization FoundationEssentials Glibc Musl Darwin CoreMetrics
ParallaxAgent:        FoundationEssentials Foundation NIOCore NIOPosix NIOHTTP1 NIOSSL NIOWebSocket Logging ServiceLifecycle ParallaxAPI ParallaxConcurrency
2
ParallaxRedisStores:  Synchronization FoundationEssentials Foundation NIOCore NIOPosix Logging ServiceLifecycle ParallaxHA ParallaxState ParallaxAPI ParallaxRedis ParallaxConcurrency ParallaxText
ParallaxHTTP:         Synchronization Hummingbird HTTPTypes NIOCore Logging ServiceLifecycle ParallaxAPI ParallaxMetrics ParallaxConcurrency
ParallaxServer:       Synchronization FoundationEssentials Foundation Glibc Musl Darwin CParallaxZlib DequeModule Crypto CryptoExtras Hummingbird HummingbirdCore HTTPTypes NIOCore NIOPosix NIOHTTP1 NIOSSL NIOWebSocket NIOHTTPTypes NIOHTTPTypesHTTP1 Logging ServiceLifecycle ParallaxAPI ParallaxState ParallaxConcurrency ParallaxText
3
ParallaxWitness:      FoundationEssentials Foundation NIOCore NIOPosix NIOSSL Logging ParallaxHA ParallaxAPI ParallaxState ParallaxRedis ParallaxRedisStores ParallaxConcurrency ParallaxText
ParallaxTesting:      Synchronization FoundationEssentials ParallaxHA ParallaxState ParallaxAPI ParallaxConcurrency
4
ParallaxControlPlane: Synchronization FoundationEssentials Foundation Glibc Musl Darwin DequeModule HeapModule NIOCore NIOPosix NIOSSL Crypto Yams Logging CoreMetrics ServiceLifecycle ParallaxHA ParallaxAPI ParallaxState ParallaxRedis ParallaxRedisStores ParallaxMetrics ParallaxServer ParallaxWitness ParallaxConcurrency ParallaxText
5
parallaxd:            FoundationEssentials Foundation Glibc Musl Darwin ArgumentParser Logging CoreMetrics ServiceLifecycle UnixSignals ParallaxAPI ParallaxMetrics ParallaxWitness ParallaxControlPlane
parallax:             FoundationEssentials Foundation Glibc Musl Darwin ArgumentParser AsyncHTTPClient Crypto NIOCore NIOFoundationCompat NIOHTTP1 NIOPosix NIOSSL Logging ServiceLifecycle UnixSignals Synchronization ParallaxAPI ParallaxAgent ParallaxControlPlane ParallaxText
parallax-witness:     Dispatch FoundationEssentials Foundation Glibc Musl Darwin Logging ParallaxHA ParallaxAPI ParallaxWitness
'

# The modules that targets on the same floor may import too.
ground=' ParallaxConcurrency ParallaxText '

# Prints the floors as a Markdown table, without the modules of the platform.
# shellcheck disable=SC2016 # awk's own fields, not the shell's
table() {
  awk -v ground="$ground" '
    function names(list, count, kind,    i, text) {
      for (i = 2; i <= count; i++) {
        if (list[i] ~ /^(Synchronization|FoundationEssentials|Foundation|Glibc|Musl|Darwin)$/) continue
        if ((list[i] ~ /^Parallax/) != kind || index(ground, " " list[i] " ")) continue
        text = text (text == "" ? "" : ", ") (kind ? substr(list[i], 9) : list[i])
      }
      return text
    }
    /^[0-9]+$/ { floor = $1 }
    /:/ {
      count = split($0, word, /[: ]+/)
      row = "| " floor " | `" word[1] "` | " names(word, count, 1) " | " names(word, count, 0) " |"
      rows[++last] = row
    }
    END {
      print "| floor | target | targets below it | libraries |"
      print "|---|---|---|---|"
      for (i = last; i >= 1; i--) print rows[i]
    }' <<<"$floors"
}

# The lines of ARCHITECTURE.md between the marks of the table.
begin='<!-- floors: written by Scripts/check-imports.sh --write -->'
end='<!-- end of floors -->'
documented() {
  # shellcheck disable=SC2016 # awk's own fields, not the shell's
  awk -v begin="$begin" -v end="$end" '$0 == end { inside = 0 } inside { print } $0 == begin { inside = 1 }' ARCHITECTURE.md
}

if [ "$sources" = --write ]; then
  # shellcheck disable=SC2016 # awk's own fields, not the shell's
  awk -v begin="$begin" -v end="$end" -v table="$(table)" '
    $0 == end { skips = 0 }
    !skips { print }
    $0 == begin { print table; skips = 1 }' ARCHITECTURE.md >.floors.new
  mv .floors.new ARCHITECTURE.md
  exit
fi
if [ "$(documented)" != "$(table)" ]; then
  echo "ARCHITECTURE.md: the table of floors is not that of Scripts/check-imports.sh; run Scripts/check-imports.sh --write" >&2
  exit 1
fi

# shellcheck disable=SC2016 # awk's own fields, not the shell's
find "$sources" -name '*.swift' -print | LC_ALL=C sort | xargs awk -v root="$sources" -v floors="$floors" -v ground="$ground" '
  BEGIN {
    rows = split(floors, lines, "\n")
    for (i = 1; i <= rows; i++) {
      words = split(lines[i], word, /[: ]+/)
      if (words == 1) floor = word[1]
      if (words < 2) continue
      known[word[1]] = 1
      height[word[1]] = floor
      for (j = 2; j <= words; j++) {
        allowed[word[1], word[j]] = 1
        if (word[j] ~ /^Parallax/ && !index(ground, " " word[j] " ") && !(height[word[j]] < floor && word[j] in height)) {
          printf "the table of floors: %s stands on floor %d and may not import %s\n", word[1], floor, word[j]
          violations++
        }
      }
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
    if (target == "ParallaxControlPlane" && module == "ParallaxRedisStores" && FILENAME !~ /\/(NodeBackend\.swift|Diagnosis\/[^\/]*)$/) {
      printf "%s:%d: only NodeBackend.swift and the diagnosis name a backend; everything else takes a Backend\n", FILENAME, FNR
      violations++
    }
  }
  END {
    if (violations) { printf "%d violations of the floors\n", violations; exit 1 }
    printf "Import floors: %d imports hold them\n", imports
  }'
