#!/usr/bin/env bash
# Fails on what `make format` would change, and on a public declaration without documentation.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
swift format lint --strict --parallel --recursive Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources Examples/Package.swift \
  Examples/Sources Examples/Tests Oracle/Package.swift Oracle/Sources
