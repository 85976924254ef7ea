#!/usr/bin/env bash
# Makes what compose.yaml needs in the folder secrets: API keys, the password of Redis, and a certificate for localhost and the given names.
# Files that exist stay. Containers read these files with users of their own, so only the folder keeps others out.
# Usage: make-secrets.sh [NAME…], by default PARALLAX_PUBLIC_NAME of .env
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if [ $# -eq 0 ]; then set -- "$(sed -n 's/^PARALLAX_PUBLIC_NAME=//p' .env)"; fi

umask 077
mkdir -p secrets
key() { printf 'plx_%s' "$(openssl rand -hex 32)"; }
hash() { printf 'sha256:%s' "$(printf %s "$1" | openssl dgst -sha256 -r | cut -d ' ' -f 1)"; }
keep() { install -m "$1" /dev/stdin "secrets/$2"; }

if [ ! -e secrets/api-keys ]; then
  admin=$(key)
  agents=$(key)
  metrics=$(key)
  # For people and programs; the nodes know the hashes alone.
  keep 600 admin-key <<<"$admin"
  keep 600 agents-key <<<"$agents"
  keep 600 metrics-key <<<"$metrics"
  keep 444 api-keys <<END
admin:admin:$(hash "$admin")
agents:agent:$(hash "$agents")
metrics:read:$(hash "$metrics")
END
fi
if [ ! -e secrets/redis-password ]; then openssl rand -hex 32 | keep 444 redis-password; fi
if [ ! -e secrets/proxy.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj "/CN=$1" \
    -addext "subjectAltName=DNS:localhost$(printf ',DNS:%s' "$@")" -keyout secrets/key.pem -out secrets/certificate.pem 2>/dev/null
  cat secrets/certificate.pem secrets/key.pem | keep 444 proxy.pem
  rm secrets/key.pem
fi
