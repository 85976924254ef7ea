#!/usr/bin/env bash
# Installs the missing tools of the tests and prints their names: redis-server, promtool, prometheus, curl, openssl, nginx, spin and gcc from the
# system's packages, and a Python environment for the example agent in .build/test-venv. Without apt-get it lists the missing tools and fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.build/test-venv
requirements=Examples/python-agent/requirements.txt

# Each tool of the tests: a check for it, its packages in Debian, and its name elsewhere.
missing_tools() {
  command -v redis-server >/dev/null || echo "redis-server:redis-server, 7.0 or later"
  command -v redis-cli >/dev/null || echo "redis-tools:redis-cli"
  { command -v promtool && command -v prometheus; } >/dev/null || echo "prometheus:promtool and prometheus"
  command -v curl >/dev/null || echo "curl:curl"
  command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || echo "nginx:nginx"
  command -v spin >/dev/null || echo "spin:spin, the model checker"
  command -v openssl >/dev/null || echo "openssl:openssl"
  command -v gcc >/dev/null || echo "gcc libc6-dev:gcc or clang under the name gcc, with the C library's headers"
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo "python3-venv:python3 with venv and pip"
}

install_python_environment() {
  if cmp -s "$requirements" "$venv/requirements.txt"; then
    return
  fi
  echo "Installing in $venv: $(tr '\n' ' ' <"$requirements")"
  python3 -m venv --clear "$venv"
  if ! "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"; then
    echo "error: pip could not install $requirements; is a package index reachable?" >&2
    return 1
  fi
  cp "$requirements" "$venv/requirements.txt" # marks this environment as complete
}

missing=$(missing_tools)
if [ -n "$missing" ] && ! command -v apt-get >/dev/null; then
  echo "error: this system has no apt-get. Install these tools of the tests with its package manager:" >&2
  printf '%s\n' "$missing" | sed 's/^[^:]*:/error:   /' >&2
  exit 1
fi
# shellcheck disable=SC2046 # one word per package
Scripts/install-packages.sh "the tests" $(printf '%s\n' "$missing" | cut -d : -f 1)
install_python_environment
echo "Test tools: $(redis-server --version | cut -d ' ' -f 1-3), $(promtool --version 2>&1 | head -n 1 | cut -d ' ' -f 1-3), $(spin -V | cut -d ' ' -f 1-3), $("$venv/bin/python" --version)"
