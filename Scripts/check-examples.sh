#!/usr/bin/env bash
# Builds the examples for embedders, runs their tests, and checks that a package that uses ParallaxHA alone does not resolve SwiftNIO.
# Usage: Scripts/check-examples.sh [all], where all also builds the examples that need a trait: those on Redis and those with a server
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scratch=.build/examples

if [ "${1:-}" = all ]; then
  swift build --package-path Examples --scratch-path "$scratch-with-traits" --enable-all-traits
  exit
fi

swift build --package-path Examples --scratch-path "$scratch" --build-tests
if ls -d "$scratch"/checkouts/swift-nio* 2>/dev/null; then
  echo "error: the examples resolve SwiftNIO without a trait of the package" >&2
  exit 1
fi
swift test --package-path Examples --scratch-path "$scratch" --skip-build
echo "Examples: checkouts are $(find "$scratch/checkouts" -mindepth 1 -maxdepth 1 -exec basename {} \; | sort | tr '\n' ' ')"
