#!/usr/bin/env bash
# Builds the documentation of the libraries with the toolchain's own docc, one archive per library in .build/docs; a warning fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

swift package dump-symbol-graph --minimum-access-level public >/dev/null
graphs=$(swift build --show-bin-path)/../symbolgraph
rm -rf .build/docs
mkdir -p .build/docs
for library in ParallaxHA ParallaxState ParallaxRedis ParallaxRedisStores ParallaxMetrics ParallaxAPI ParallaxAgent ParallaxHTTP ParallaxControlPlane ParallaxTesting; do
  own=.build/docs/symbol-graphs/$library
  mkdir -p "$own"
  find "$graphs" \( -name "$library.symbols.json" -o -name "$library@*.symbols.json" \) -exec cp {} "$own/" \;
  catalog=()
  if [ -d "Sources/$library/$library.docc" ]; then
    catalog=("Sources/$library/$library.docc")
  fi
  docc convert ${catalog[@]+"${catalog[@]}"} --additional-symbol-graph-dir "$own" --warnings-as-errors \
    --fallback-display-name "$library" --fallback-bundle-identifier "$library" --output-path ".build/docs/$library.doccarchive"
  echo ".build/docs/$library.doccarchive"
done
