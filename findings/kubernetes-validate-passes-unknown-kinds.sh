#!/usr/bin/env bash
# Expected: kubernetes-validate --strict rejects a manifest whose kind does not exist, as an API server does.
# Happens:  version 1.37.0 prints a warning, validates nothing of the manifest, and exits 0; --no-warn hides even that.
# Matters:  a chart with one misspelled kind passes a pipeline that looks at the exit code; its output has to be read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate==1.37.0
validate="$folder/venv/bin/kubernetes-validate"
cat >"$folder/misspelled.yaml" <<'YAML'
apiVersion: apps/v1
kind: StatefullSet
metadata: { name: control-plane }
spec: { replicas: three }
YAML
sed 's/StatefullSet/StatefulSet/' "$folder/misspelled.yaml" >"$folder/right-kind.yaml"
cd "$folder"
"$validate" --version
set +e
misspelled=$("$validate" --strict misspelled.yaml 2>&1)
misspelled_status=$?
hidden=$("$validate" --strict --no-warn misspelled.yaml 2>&1)
hidden_status=$?
"$validate" --strict right-kind.yaml >right-kind.txt 2>&1
right_status=$?
set -e
printf 'misspelled kind: exit %s: %s\nwith --no-warn: exit %s: "%s"\nright kind, same fault in spec: exit %s\n' \
  "$misspelled_status" "$misspelled" "$hidden_status" "$hidden" "$right_status"
[ "$misspelled_status" = 0 ] && [ "$hidden_status" = 0 ] && [ -z "$hidden" ] && [ "$right_status" != 0 ]
grep -q "Couldn't find schema for kind StatefullSet" <<<"$misspelled"
