#!/usr/bin/env bash
# Checks the files of deploy: the chart and the plain manifests (check_deploy.py), the image and the composition (check_compose.py), the
# systemd unit, and their scripts. Installs its tools: pinned packages of PyPI in .build/deploy-venv, and HAProxy where there is apt-get.
# Usage: Scripts/check-deploy.sh [--write] [FOLDER], where FOLDER has parallaxd, .build/debug by default if it is built; --write updates
# what derives from other files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=.build/deploy-venv
requirements=deploy/requirements.txt

if ! cmp -s "$requirements" "$venv/requirements.txt"; then
  echo "Installing in $venv: $(tr '\n' ' ' <"$requirements")"
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$venv/requirements.txt" # marks this environment as complete
fi

write=()
if [ "${1:-}" = --write ]; then
  write=(--write)
  shift
fi
binaries=${1:-.build/debug}
folder=()
if [ -x "$binaries/parallaxd" ]; then folder=("$binaries"); fi

"$venv/bin/python" Scripts/check_deploy.py "${write[@]}" "${folder[@]}"

PATH=$PATH:/usr/sbin
if ! command -v haproxy >/dev/null && command -v apt-get >/dev/null; then
  Scripts/install-packages.sh "the checks of deploy" haproxy
fi
"$venv/bin/hadolint" deploy/docker/Dockerfile
"$venv/bin/check-jsonschema" --quiet --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
"$venv/bin/python" Scripts/check_compose.py "${write[@]}" "${folder[@]}"

scripts=(deploy/helm/parallax-control-plane/files/redis.sh deploy/kubernetes/*.sh deploy/compose/*.sh)
for script in "${scripts[@]}"; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then
  shellcheck "${scripts[@]}"
  echo "Scripts of deploy: ${#scripts[@]} pass $(shellcheck --version | sed -n 's/^version: /shellcheck /p')"
fi
"$venv/bin/yamllint" --strict -c deploy/.yamllint deploy/helm/parallax-control-plane/{Chart,values}.yaml \
  deploy/helm/parallax-control-plane/examples deploy/kubernetes deploy/compose

# systemd-analyze exits with 0 for unknown keys and unusable values, so its output has to be empty.
if command -v systemd-analyze >/dev/null; then
  unit=$(mktemp -d)
  trap 'rm -rf "$unit"' EXIT
  sed 's#/usr/bin/parallaxd#/bin/true#; s#/usr/bin/parallax-witness#/bin/true#' deploy/systemd/parallaxd.service >"$unit/parallaxd.service"
  found=$(systemd-analyze verify "$unit/parallaxd.service" 2>&1 || echo "exit code $?")
  exposure=$(systemd-analyze security --offline=true "$unit/parallaxd.service" | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
  if [ -n "$found" ] || ! awk "BEGIN { exit !(\"$exposure\" != \"\" && $exposure <= 1.2) }"; then
    echo "error: deploy/systemd/parallaxd.service: exposure ${exposure:-unknown}, at most 1.2 is expected; $found" >&2
    exit 1
  fi
  echo "systemd: the unit is valid, exposure $exposure"
fi
