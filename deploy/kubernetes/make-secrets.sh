#!/usr/bin/env bash
# Prints the Secrets of deploy/kubernetes with new random keys: three API keys, and the password of Redis. Run it once per cluster:
#   deploy/kubernetes/make-secrets.sh | kubectl create --namespace parallax --filename -
# `create` refuses to replace Secrets that exist, which `apply` would do.
set -euo pipefail

key() { printf 'plx_%s' "$(openssl rand -hex 32)"; }
hash() { printf 'sha256:%s' "$(printf %s "$1" | openssl dgst -sha256 -r | cut -d ' ' -f 1)"; }
admin=$(key)
agents=$(key)
metrics=$(key)
cat <<END
apiVersion: v1
kind: Secret
metadata:
  name: parallax-control-plane-keys
  labels:
    app: parallax-control-plane
    app.kubernetes.io/part-of: parallax
type: Opaque
stringData:
  # For people and programs; the nodes know the hashes alone.
  admin: $admin
  agents: $agents
  metrics: $metrics
  keys: |
    admin:admin:$(hash "$admin")
    agents:agent:$(hash "$agents")
    metrics:read:$(hash "$metrics")
---
apiVersion: v1
kind: Secret
metadata:
  name: parallax-redis-password
  labels:
    app: parallax-redis
    app.kubernetes.io/part-of: parallax
type: Opaque
stringData:
  password: $(openssl rand -hex 32)
END
