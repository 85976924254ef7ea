#!/usr/bin/env bash
# Checks the cost of each library and its traits for a package outside the repository: the packages that it resolves and, with "build", the
# modules of this package that it compiles. The consumers are in Tests/Consumers.
# Usage: Scripts/check-consumers.sh [build]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
mode=${1:-resolve}
work=$root/.build/consumers
server='hummingbird swift-nio-extras swift-http-types async-http-client'
tools='yams swift-argument-parser'
weights="swift-nio swift-nio-ssl swift-crypto swift-distributed-tracing $server $tools"

# library | its traits | packages that must be resolved | packages that must not be | modules of this package that are compiled
table="
ParallaxAPI||swift-log|$weights|ParallaxAPI
ParallaxMetrics||swift-log|$weights|ParallaxMetrics
ParallaxHA||swift-log|$weights|ParallaxConcurrency ParallaxHA ParallaxText
ParallaxState||swift-log|$weights|ParallaxAPI ParallaxConcurrency ParallaxHA ParallaxState ParallaxText
ParallaxTesting||swift-log|$weights|ParallaxAPI ParallaxConcurrency ParallaxHA ParallaxState ParallaxTesting ParallaxText
ParallaxRedis|Redis|swift-nio|$server $tools|ParallaxConcurrency ParallaxRedis ParallaxText
ParallaxRedisStores|Redis|swift-nio|$server $tools|ParallaxAPI ParallaxConcurrency ParallaxHA ParallaxRedis ParallaxRedisStores ParallaxState ParallaxText
ParallaxAgent|Agent|swift-nio swift-nio-ssl|swift-crypto swift-distributed-tracing $server $tools|ParallaxAPI ParallaxAgent ParallaxConcurrency
ParallaxHTTP|HTTP|hummingbird|$tools|ParallaxAPI ParallaxConcurrency ParallaxHTTP ParallaxMetrics
ParallaxControlPlane|ControlPlane|yams hummingbird swift-nio|swift-argument-parser|ParallaxAPI ParallaxConcurrency ParallaxControlPlane ParallaxHA ParallaxMetrics ParallaxRedis ParallaxRedisStores ParallaxServer ParallaxState ParallaxText
"

write_package() {
  local library=$1 traits=
  for trait in $2; do traits+="\"$trait\", "; done
  mkdir -p "$work/package/Sources/Consumer"
  cat >"$work/package/Package.swift" <<SWIFT
// swift-tools-version:6.2
import PackageDescription

let package = Package(
  name: "consumer",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "parallax-ha", path: "$root", traits: [$traits])],
  targets: [
    .target(
      name: "Consumer", dependencies: [.product(name: "$library", package: "parallax-ha")],
      swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault"), .enableUpcomingFeature("ExistentialAny")])
  ],
  swiftLanguageModes: [.v6]
)
SWIFT
  cp "Tests/Consumers/$library.swift" "$work/package/Sources/Consumer/Consumer.swift"
}

swift_package() {
  local command=$1
  shift
  if ! swift "$command" --package-path "$work/package" --scratch-path "$work/scratch" "$@" 2>"$work/log"; then
    tail -n 40 "$work/log" >&2
    return 1
  fi
}

failures=0
fail() {
  echo "error: $1" >&2
  failures=$((failures + 1))
}

check_resolution() {
  local library=$1 traits=$2 wanted=$3 unwanted=$4 resolved package
  resolved=" $(swift_package package show-dependencies --format flatlist | sort -u | tr '\n' ' ')"
  for package in $wanted; do
    [[ $resolved == *" $package "* ]] || fail "$library with the traits \"$traits\" does not resolve $package"
  done
  for package in $unwanted; do
    [[ $resolved != *" $package "* ]] || fail "$library with the traits \"$traits\" resolves $package"
  done
  echo "$library, traits \"$traits\": resolves $(wc -w <<<"$resolved") packages"
}

# The modules of this package are removed first: those present after the build were compiled for this consumer.
check_build() {
  local library=$1 expected=$2 products compiled
  products=$(swift_package build --show-bin-path)
  rm -rf "$products"/Parallax*.build "$products"/Modules/Parallax* "$products"/Consumer.build
  swift_package build >"$work/output" || {
    grep -E 'error:' "$work/output" >&2 || true
    fail "a consumer of $library does not compile"
    return 0
  }
  # A plan leaves a folder for every module; the compiler leaves objects.
  compiled=$(find "$products" -mindepth 2 -path '*/Parallax*.build/*.o' -printf '%P\n' | sed 's/\.build\/.*//' | LC_ALL=C sort -u | tr '\n' ' ')
  [ "$compiled" = "$expected " ] || fail "a consumer of $library compiles \"$compiled\", not \"$expected\""
  echo "$library: compiles $compiled"
}

while IFS='|' read -r library traits wanted unwanted modules; do
  [ -n "$library" ] || continue
  write_package "$library" "$traits"
  check_resolution "$library" "$traits" "$wanted" "$unwanted"
  if [ "$mode" = build ]; then check_build "$library" "$modules"; fi
done <<<"$table"
[ "$failures" -eq 0 ]
