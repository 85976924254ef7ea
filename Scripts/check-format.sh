#!/usr/bin/env bash
# Fails on code that `make format` would change, on a public declaration without documentation, and on a comment beyond 140 columns, which
# the formatter does not check.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
sources=(Package.swift Sources Plugins Tests Benchmarks/Package.swift Benchmarks/Sources Examples/Package.swift Examples/Sources
  Examples/Tests Oracle/Package.swift Oracle/Sources)
columns=140

status=0
swift format lint --strict --parallel --recursive "${sources[@]}" || status=1

# Columns are characters, not bytes: the locale must be UTF-8.
export LC_ALL=C.UTF-8
long=$(grep -rnE --include='*.swift' "^.{$((columns + 1))}" "${sources[@]}" | grep -E '^[^:]*:[0-9]+:(.*[[:space:]])?//' || true)
if [ -n "$long" ]; then
  printf '%s\n' "$long" | sed -E "s|^([^:]*:[0-9]+):.*|\1: error: a comment goes beyond $columns columns|"
  status=1
fi
exit "$status"
