#!/usr/bin/env bash
# Compares the public interfaces of the libraries with those of the last release, and fails if a program that used them would no longer
# compile. Builds both, which takes about half an hour on two cores, so that it is no part of make test.
# Usage: Scripts/api-breakage.sh [TAG], by default the last tag v… before this commit
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

last=${1:-$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)}
if [ -z "$last" ]; then
  echo "API: no release yet, so nothing to compare with"
  exit
fi
git rev-parse --quiet --verify "$last^{commit}" >/dev/null || {
  echo "error: $last is neither a tag nor a commit of this repository" >&2
  exit 1
}
echo "API: comparing with $last"
swift package diagnose-api-breaking-changes "$last"
