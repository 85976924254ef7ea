#!/usr/bin/env bash
# Builds the documentation of the libraries with the toolchain's own docc, one archive per library in .build/docs; a warning fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

graphs=.build/docs/symbol-graphs
rm -rf .build/docs
mkdir -p "$graphs"
swift build --scratch-path .build/docs-build -Xswiftc -emit-symbol-graph -Xswiftc -emit-symbol-graph-dir -Xswiftc "$graphs"
for library in ParallaxHA ParallaxState ParallaxRedis ParallaxMetrics ParallaxAPI ParallaxTesting; do
  mkdir -p "$graphs/$library"
  find "$graphs" -maxdepth 1 \( -name "$library.symbols.json" -o -name "$library@*.symbols.json" \) -exec mv {} "$graphs/$library/" \;
  catalogue=Sources/$library/$library.docc
  docc convert ${catalogue:+$([ -d "$catalogue" ] && echo "$catalogue")} \
    --additional-symbol-graph-dir "$graphs/$library" --fallback-display-name "$library" --fallback-bundle-identifier "$library" \
    --warnings-as-errors --output-path ".build/docs/$library.doccarchive"
  echo ".build/docs/$library.doccarchive"
done
