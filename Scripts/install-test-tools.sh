#!/usr/bin/env bash
# Installs what the tests need and is not there yet, and says what it installs: redis-server, promtool, curl, spin and gcc from the
# system's packages, and a Python environment for the example agent in .build/test-venv.
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
  command -v gcc >/dev/null || echo gcc libc6-dev
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
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

packages=$(missing_packages)
# shellcheck disable=SC2086 # one word per package
Scripts/install-packages.sh "the tests" $packages
install_python_environment
echo "Test tools: $(redis-server --version | cut -d ' ' -f 1-3), $(promtool --version 2>&1 | head -n 1 | cut -d ' ' -f 1-3), $(spin -V | cut -d ' ' -f 1-3), $("$venv/bin/python" --version)"
