#!/usr/bin/env bash
# Checks docs/model/election.pml with spin: the rules must hold in every state, and spin must find the violation of each wrong rule.
# Prints one line per check and fails if a check has another result than expected. Needs spin and gcc; works in a temporary directory.
# Usage: Scripts/check-model.sh [PART OF THE NAMES OF THE CHECKS TO RUN]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
model=$PWD/docs/model/election.pml
only=${1:-}

for tool in spin gcc; do
  command -v "$tool" >/dev/null || {
    echo "error: $tool is missing; Scripts/install-test-tools.sh installs it" >&2
    exit 1
  }
done

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
failures=0
checks=0

# build [-DNAME…]: compiles the verifier for these definitions.
build() {
  local search=-DSAFETY
  [[ " $* " != *" -DPROGRESS "* ]] || search=-DNFAIR=5 # for the number of the model's processes, which weak fairness needs
  rm -rf "${directory:?}"/*
  (
    cd "$directory"
    spin -a "$@" "$model" && gcc -O2 -w -DCOLLAPSE -DMEMLIM=4000 "$search" -o pan pan.c
  ) >"$directory/build.log" 2>&1 || {
    cat "$directory/build.log" >&2
    return 1
  }
}

# explore [OPTION…]: runs the verifier; its output is in $directory/pan.log.
explore() {
  (cd "$directory" && ./pan -m100000 "$@") >"$directory/pan.log" 2>&1 || true
}

value() { sed -n -E "s/$1/\\1/p" "$directory/pan.log" | head -n 1; }

figures() {
  printf '%s states, depth %s, %s s, %s MB' \
    "$(value '^ *([0-9.e+]+) states, stored.*')" "$(value '.*depth reached ([0-9]+),.*')" \
    "$(value '.*elapsed time ([0-9.e+-]+) seconds.*')" "$(value '^ *([0-9.]+).total actual memory usage.*')"
}

is_complete() {
  grep -q 'errors: 0' "$directory/pan.log" && ! grep -q -E '^error:|Search not completed|out of memory|max search depth' "$directory/pan.log"
}

report_failure() {
  echo "FAILED  $1: $2"
  sed -n '1,12p' "$directory/pan.log"
  failures=$((failures + 1))
}

is_wanted() {
  [[ $1 == *"$only"* ]] || return 1
  checks=$((checks + 1))
}

# holds NAME -DNAME…: no state violates a property. Progress holds with and without weak fairness.
holds() {
  local name=$1 said
  shift
  is_wanted "$name" || return 0
  build "$@"
  if [[ " $* " != *" -DPROGRESS "* ]]; then
    explore
  else
    explore -a
    is_complete || {
      report_failure "$name" "it does not hold without fairness"
      return 0
    }
    explore -a -f
  fi
  said=$(figures)
  if is_complete; then
    echo "holds   $name: $said"
  else
    report_failure "$name" "it does not hold, or not every state was seen ($said)"
  fi
}

# breaks NAME WHAT -DNAME…: spin finds a violation, and it is the expected one.
breaks() {
  local name=$1 expected=$2
  shift 2
  is_wanted "$name" || return 0
  build "$@"
  if [[ " $* " == *" -DPROGRESS "* ]]; then explore -a -f; else explore; fi
  if grep -q -F "$expected" "$directory/pan.log"; then
    echo "caught  $name: $expected"
  else
    report_failure "$name" "spin should find \"$expected\""
  fi
}

holds "mutual exclusion, 2 nodes" -DNODES=2
holds "mutual exclusion, 2 nodes, finer ticks" -DNODES=2 -DLEASE=7 -DSTOP=2
holds "mutual exclusion, 3 nodes" -DNODES=3 -DLEASE=4
holds "mutual exclusion, 3 nodes with unequal leases, no data loss" -DNODES=3 -DLEASE=4 -DOTHER_LEASE=3 -DNO_WIPES
holds "growth of terms, lost is final" -DTERMS=5
holds "fences" -DFENCES -DTERMS=3
holds "fences when the store forgets grants and clocks mean nothing" -DFENCES -DFAILOVER -DTERMS=2
holds "progress: a leader is elected and stays" -DPROGRESS
holds "progress while operators keep sending requests" -DPROGRESS -DNAGGING
holds "progress: no transition while the store keeps losing its data" -DPROGRESS -DFORGETFUL
holds "witnesses: mutual exclusion, 2 nodes" -DWITNESS
holds "witnesses: mutual exclusion, 3 nodes" -DWITNESS -DNODES=3 -DLEASE=4
holds "witnesses: growth of terms, lost is final" -DWITNESS -DTERMS=4
holds "witnesses: fences" -DWITNESS -DFENCES -DTERMS=2
holds "witnesses: progress" -DWITNESS -DPROGRESS
holds "witnesses: progress without waiting out any lease" -DWITNESS -DPROGRESS -DENDLESS_PATIENCE

overlap='assertion violated  !(twoValidLeaders)'
duties='assertion violated  !(dutiesBesideLeader)'
cycle='acceptance cycle'
breaks "clock rates further apart than allowed" "$overlap" -DSTOP=0 -DEXCESS=1 -DLEADERS_ONLY
breaks "trap 1, validity from the reply" "$overlap" -DVALIDITY_FROM_REPLY -DLEASE=2 -DSTOP=0 -DLEADERS_ONLY
breaks "trap 2, a read settles an unknown outcome" "$overlap" -DREAD_SETTLES_UNKNOWN -DLEADERS_ONLY
breaks "trap 3, a late success revives the term" 'assertion violated  !(endedTermLedAgain)' -DLATE_SUCCESS_REVIVES -DTERMS=3
breaks "trap 4, release before joining" "$duties" -DRELEASE_BEFORE_JOIN
breaks "trap 5, release without compare-and-set" "$overlap" -DRELEASE_WITHOUT_COMPARE -DLEADERS_ONLY
breaks "trap 6, patience by the own lease" "$overlap" -DPATIENCE_BY_OWN_LEASE -DOTHER_LEASE=5 -DNO_WIPES -DLEADERS_ONLY
breaks "trap 7, patience by version" "$cycle" -DPROGRESS -DNAGGING -DPATIENCE_BY_VERSION
breaks "trap 8, acquisition over an absent record" "$overlap" -DACQUIRE_OVER_ABSENT -DLEADERS_ONLY
breaks "trap 9, re-assertion with the same bytes" "$overlap" -DREASSERT_SAME_BYTES -DLEADERS_ONLY
breaks "trap 10, elect skips patience" "$overlap" -DELECT_SKIPS_PATIENCE -DLEADERS_ONLY
breaks "trap 11, a request creates a record" "$overlap" -DREQUEST_CREATES_RECORD -DLEADERS_ONLY
breaks "trap 12, term from the record alone" 'assertion violated  !(termNotGreater)' -DTERM_FROM_RECORD_ALONE -DTERMS=3
breaks "trap 13, patience by the wall clock" "$overlap" -DPATIENCE_BY_WALL_CLOCK -DLEADERS_ONLY
breaks "trap 14, fences by term alone" 'assertion violated  !(olderFenceAccepted)' -DFENCES -DFAILOVER -DTERMS=2 -DFENCE_BY_TERM_ALONE
breaks "witnesses: a notice on silence" "$overlap" -DWITNESS -DNOTICE_ON_SILENCE -DLEADERS_ONLY
breaks "witnesses: a notice for any incarnation" "$overlap" -DWITNESS -DNOTICE_FOR_ANY_INCARNATION -DLEADERS_ONLY
breaks "witnesses: a blind notice" "$overlap" -DWITNESS -DBLIND_NOTICE -DLEADERS_ONLY
breaks "witnesses: no second look" "$cycle" -DWITNESS -DNO_SECOND_LOOK -DPROGRESS -DENDLESS_PATIENCE
breaks "witnesses: a notice lowers the term" 'assertion violated  !(termNotGreater)' -DWITNESS -DNOTICE_LOWERS_TERM -DTERMS=3
breaks "witnesses: a notice raises the term" 'assertion violated  !(termNeverGranted)' -DWITNESS -DNOTICE_RAISES_TERM -DTERMS=3
breaks "a leader does not re-assert a lost record" "$cycle" -DPROGRESS -DFORGETFUL -DNO_REASSERTION

if [ "$checks" -eq 0 ]; then
  echo "error: no check has \"$only\" in its name" >&2
  exit 1
fi
echo "Model: $checks checks, $failures failed, $SECONDS s, $(spin -V | cut -d ' ' -f 1-3)"
[ "$failures" -eq 0 ]
