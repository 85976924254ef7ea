#!/usr/bin/env bash
# Checks alerts and dashboards: the rules parse, each rule fires and stays quiet in a test, each metric and each runbook section exists.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=deploy/prometheus
runbook=docs/operations/alerts.md
failures=0
fail() {
  echo "error: $1" >&2
  failures=$((failures + 1))
}

promtool check rules "$folder"/*.rules.yml
promtool check config --syntax-only "$folder/scrape.yml"
promtool test rules "$folder"/tests/*.test.yml

metrics=$(grep -ohE 'parallax_[a-z_]+' "$folder"/*.rules.yml deploy/grafana/*.json | sed 's/_bucket$//' | LC_ALL=C sort -u)
for metric in $metrics; do
  grep -rqF "\"$metric\"" Sources || fail "rules or dashboards name the metric $metric, which nothing in Sources exports"
done

alerts=$(sed -n 's/^ *- alert: *//p' "$folder"/*.rules.yml)
for alert in $alerts; do
  grep -qx "## $alert" "$runbook" || fail "$runbook has no section \"## $alert\""
  for state in 'exp_alerts: \[\]' 'exp_alerts:$'; do
    grep -hA1 "alertname: $alert\$" "$folder"/tests/*.test.yml | grep -q "$state" || fail "no test of $alert has $state"
  done
done
# promtool passes a test that an alert stays quiet which does not exist.
while read -r alert; do
  grep -qxF "$alert" <<<"$alerts" || fail "a test names the alert $alert, which no rule file has"
done < <(sed -n 's/^[- ]*alertname: *//p' "$folder"/tests/*.test.yml | LC_ALL=C sort -u)
while read -r anchor; do
  grep -qix "## $anchor" "$runbook" || fail "$runbook has no section for #$anchor"
done < <(sed -n 's/.*runbook_url: .*#//p' "$folder"/*.rules.yml)
# The alerts of the specification stay as they are there; every other one has an address that a browser opens.
base=$(cat deploy/documentation-url)
while read -r alert url; do
  [ "$url" = "$base/$runbook#$(tr '[:upper:]' '[:lower:]' <<<"$alert")" ] || fail "the runbook_url of $alert is not $base/$runbook#…: \"$url\""
done < <(awk '/- alert:/ { if (alert) print alert, url; alert = $3; url = "" } /runbook_url:/ { url = $2 } END { print alert, url }' \
  "$folder/parallax-operations.rules.yml")
grep -qF "documentationUrl: $base" deploy/helm/parallax-control-plane/values.yaml || fail "the chart's documentationUrl is not that of deploy/documentation-url"

[ "$failures" = 0 ] || exit 1
echo "Alerts: $(echo "$alerts" | wc -w) rules fire and stay quiet, $(echo "$metrics" | wc -w) metrics exist"
