#!/usr/bin/env bash
# Installs what the tests need and is not there yet, and says what it installs: redis-server, promtool, curl, openssl, spin and gcc from
# the system's packages, and a Python environment for the example agent in .build/test-venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.build/test-venv
requirements=Examples/python-agent/requirements.txt

missing_packages() {
  command -v redis-server >/dev/null || echo redis-server
  command -v redis-cli >/dev/null || echo redis-tools
  command -v promtool >/dev/null || echo prometheus
  command -v curl >/dev/null || echo curl
  command -v spin >/dev/null || echo spin
  command -v openssl >/dev/null || echo openssl
  command -v gcc >/dev/null || echo gcc libc6-dev
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

install_packages() {
  local sudo=
  if ! command -v apt-get >/dev/null; then
    echo "error: the tests need: $*. This system has no apt-get: install them by its own package manager, then run this again." >&2
    return 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "error: the tests need: $*. Install them as root: apt-get install --no-install-recommends $*" >&2
      return 1
    fi
    sudo=sudo
  fi
  echo "Installing by apt-get: $*"
  # In run level 1 the packages' init scripts start no service: the tests start servers of their own.
  if ! { $sudo apt-get update -q &&
    $sudo env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"; } >.build/apt.log 2>&1; then
    tail -n 20 .build/apt.log >&2
    echo "error: apt-get could not install: $* (everything it said: .build/apt.log)" >&2
    return 1
  fi
}

install_python_environment() {
  if cmp -s "$requirements" "$venv/requirements.txt"; then
    return
  fi
  echo "Installing in $venv: $(tr '\n' ' ' <"$requirements")"
  python3 -m venv --clear "$venv"
  if ! "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"; then
    echo "error: pip could not install $requirements; is a package index within reach?" >&2
    return 1
  fi
  cp "$requirements" "$venv/requirements.txt" # the mark that this environment is complete
}

mkdir -p .build
packages=$(missing_packages)
if [ -n "$packages" ]; then
  # shellcheck disable=SC2086 # one word per package
  install_packages $packages
fi
install_python_environment
echo "Test tools: $(redis-server --version | cut -d ' ' -f 1-3), $(promtool --version 2>&1 | head -n 1 | cut -d ' ' -f 1-3), $(spin -V | cut -d ' ' -f 1-3), $("$venv/bin/python" --version)"
