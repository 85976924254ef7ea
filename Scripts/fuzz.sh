#!/usr/bin/env bash
# Fuzzes the decoder of ParallaxRedis with libFuzzer under the address sanitizer and against hiredis, each for a bounded time.
# Fails on a crash, a violated property or a difference from hiredis, and names the input.
# Usage: Scripts/fuzz.sh [SECONDS, 60 by default] [all|decoder|oracle|merge]
#   merge adds the inputs that libFuzzer found to the kept corpus and reduces it to the files that reach the same code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-60}
what=${2:-all}
kept=Tests/ParallaxRedisTests/Corpus
work=.build/fuzz
# Swift's own report of a crash would prevent libFuzzer from writing the input.
export SWIFT_BACKTRACE=enable=no

if [[ ! $seconds =~ ^[0-9]+$ || ! $what =~ ^(all|decoder|oracle|merge)$ ]]; then
  sed -n '/^# Usage/,/^set/{/^#/s/^# //p}' "$0" >&2
  exit 2
fi

build_fuzzer() {
  swift build --package-path Oracle --scratch-path .build/fuzzer -c release --sanitize=address --product resp-fuzzer
  fuzzer=$(swift build --package-path Oracle --scratch-path .build/fuzzer -c release --sanitize=address --show-bin-path)/resp-fuzzer
  mkdir -p "$work/corpus"
}

fuzz_decoder() {
  build_fuzzer
  # libFuzzer writes new inputs to the first folder.
  if ! "$fuzzer" "$work/corpus" "$kept" -max_total_time="$seconds" -max_len=1024 -dict=Oracle/resp.dict \
    -artifact_prefix="$work/" -print_final_stats=1 >"$work/log" 2>&1; then
    tail -n 40 "$work/log" >&2
    echo "error: the decoder fails on the input in $work/ named above; to run it alone: $fuzzer FILE" >&2
    return 1
  fi
  echo "libFuzzer: $(sed -n 's/^Done //p' "$work/log"), $(find "$work/corpus" -type f | wc -l) files of corpus, no crash"
}

compare_with_hiredis() {
  local packages=
  pkg-config --exists hiredis 2>/dev/null || packages="libhiredis-dev pkg-config"
  # shellcheck disable=SC2086 # one word per package
  Scripts/install-packages.sh "the comparisons with hiredis" $packages
  swift build --package-path Oracle --scratch-path .build/oracle -c release --product resp-oracle
  ORACLE_SECONDS=${ORACLE_SECONDS:-$seconds} \
    "$(swift build --package-path Oracle --scratch-path .build/oracle -c release --show-bin-path)/resp-oracle" "$kept"
}

merge_corpus() {
  build_fuzzer
  rm -rf "$work/kept"
  mkdir -p "$work/kept"
  # Files whose names are no hashes were written by hand and stay.
  find "$kept" -type f -name '*-*' -exec cp {} "$work/kept/" \;
  # Only the code reached decides, not how often: this keeps hundreds of files instead of thousands.
  if ! "$fuzzer" -merge=1 -use_counters=0 -max_len=1024 "$work/kept" "$kept" "$work/corpus" >"$work/log" 2>&1; then
    tail -n 40 "$work/log" >&2
    return 1
  fi
  rm -f "$kept"/*
  cp "$work/kept"/* "$kept/"
  echo "$kept: $(find "$kept" -type f | wc -l) files, $(cat "$kept"/* | wc -c) bytes"
}

case $what in
all)
  fuzz_decoder
  compare_with_hiredis
  ;;
decoder) fuzz_decoder ;;
oracle) compare_with_hiredis ;;
merge) merge_corpus ;;
esac
