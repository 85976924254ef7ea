#!/usr/bin/env bash
# Expected: promtool test rules fails a test of an alert that no rule file has, as it fails one whose expectation does not hold.
# Happens:  promtool 2.42.0 passes a test with `exp_alerts: []` of a name that does not exist: SUCCESS, exit code 0, no warning.
# Matters:  a test that an alert stays quiet passes for ever once the alert is renamed, or its name misspelled, and guards nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq -o APT::Sandbox::User=root prometheus=2.42.0+ds-5+deb12u1
dpkg-deb -x prometheus_*.deb debian
promtool=debian/usr/bin/promtool
cat >rules.yml <<'YAML'
groups:
  - name: nodes
    rules:
      - alert: NodeDown
        expr: up == 0
YAML
# quiet FILE ALERT: a test that the alert stays quiet while a node is down.
quiet() {
  cat >"$1" <<YAML
rule_files: [rules.yml]
tests:
  - interval: 1m
    input_series:
      - { series: up, values: 0x10 }
    alert_rule_test:
      - { eval_time: 5m, alertname: $2, exp_alerts: [] }
YAML
}
quiet right.yml NodeDown
quiet misspelled.yml NodesDown
"$promtool" --version | head -n 1
set +e
"$promtool" test rules right.yml >/dev/null 2>&1
right=$?
seen=$("$promtool" test rules misspelled.yml 2>&1)
misspelled=$?
set -e
echo "the alert that fires: exit code $right"
echo "a name that does not exist: exit code $misspelled: $(tr -s '[:space:]' ' ' <<<"$seen")"
[ "$right" -eq 1 ]
[ "$misspelled" -eq 0 ]
[[ $seen == *SUCCESS* && $seen != *WARN* ]]
