#!/bin/sh
# Runs one Redis server or sentinel of a replicated group, and keeps its role over restarts.
# Usage: redis.sh server|sentinel|probe PORT|leave
#
# Environment: SELF and PEERS (host:port of this server and of all, first master first), SENTINELS (host:port of all; empty without
# sentinels), MASTER_NAME, QUORUM, DOWN_AFTER and FAILOVER_TIMEOUT (ms), DATA (a folder that outlives restarts), CONFIG (a file with
# lines for redis.conf), PASSWORD_FILE.
set -eu

server=$(command -v valkey-server || command -v redis-server)
cli=$(command -v valkey-cli || command -v redis-cli)
REDISCLI_AUTH=$(cat "$PASSWORD_FILE")
export REDISCLI_AUTH
umask 077

# ask HOST:PORT COMMAND…: prints the answer of a server; fails if there is none within two seconds, or if it is an error.
ask() {
  address=$1
  shift
  answer=$(timeout 2 "$cli" -h "${address%:*}" -p "${address##*:}" "$@" 2>/dev/null) || return 1
  case $answer in
  '' | *NOAUTH* | *WRONGPASS* | *ERR* | *LOADING* | 'Could not connect'*) return 1 ;;
  esac
  printf '%s\n' "$answer"
}

# The master as host:port, as the first sentinel that answers sees it.
known_master() {
  for sentinel in ${SENTINELS:-}; do
    if found=$(ask "$sentinel" SENTINEL get-master-addr-by-name "$MASTER_NAME"); then
      printf '%s\n' "$found" | tr '\n' ':' | sed 's/:$//'
      return 0
    fi
  done
  return 1
}

# Whether a server other than this one has keys.
others_have_data() {
  for peer in $PEERS; do
    if [ "$peer" != "$SELF" ] && size=$(ask "$peer" DBSIZE) && [ "$size" != 0 ]; then return 0; fi
  done
  return 1
}

has_data() {
  [ -n "$(ls -A "$DATA/appendonlydir" 2>/dev/null)" ] || [ -s "$DATA/dump.rdb" ]
}

# The master to begin with: the sentinels', else the one of the last run, else the first server.
first_master() {
  if known_master; then return; fi
  if [ -f "$DATA/redis.conf" ]; then
    last=$(sed -n 's/^replicaof "\{0,1\}\([^ "]*\)"\{0,1\} \([0-9]*\)$/\1:\2/p' "$DATA/redis.conf" | tail -n 1)
    printf '%s\n' "${last:-$SELF}"
    return
  fi
  printf '%s\n' "${PEERS%% *}"
}

run_server() {
  master=$(first_master)
  # A master that comes back without its data would empty its replicas. The sentinels replace it while it is down.
  waited=0
  while [ "$master" = "$SELF" ] && [ -n "${SENTINELS:-}" ] && ! has_data && others_have_data && [ "$waited" -lt 120 ]; do
    echo "redis.sh: this server is the master and has lost its data: waiting for the sentinels to promote a replica"
    sleep 1
    waited=$((waited + 1))
    master=$(first_master)
  done
  {
    cat "$CONFIG"
    echo "dir $DATA"
    echo "port ${SELF##*:}"
    echo "requirepass $REDISCLI_AUTH"
    echo "masterauth $REDISCLI_AUTH"
    echo "replica-announce-ip ${SELF%:*}"
    echo "replica-announce-port ${SELF##*:}"
    if [ "$master" != "$SELF" ]; then echo "replicaof ${master%:*} ${master##*:}"; fi
  } >"$DATA/redis.conf.new"
  mv "$DATA/redis.conf.new" "$DATA/redis.conf"
  echo "redis.sh: $SELF begins with the master $master"
  exec "$server" "$DATA/redis.conf"
}

run_sentinel() {
  # A sentinel refuses to start with a master whose name does not resolve.
  until ask "$SELF" PING >/dev/null; do sleep 1; done
  master=$(first_master)
  until ask "$master" PING >/dev/null; do
    sleep 1
    master=$(first_master)
  done
  old=$DATA/sentinel.conf
  {
    echo "port $1"
    echo "dir $DATA"
    echo "requirepass $REDISCLI_AUTH"
    echo "sentinel sentinel-pass $REDISCLI_AUTH"
    echo "sentinel announce-ip ${SELF%:*}"
    echo "sentinel announce-port $1"
    echo "sentinel resolve-hostnames yes"
    echo "sentinel announce-hostnames yes"
    echo "sentinel monitor $MASTER_NAME ${master%:*} ${master##*:} $QUORUM"
    echo "sentinel auth-pass $MASTER_NAME $REDISCLI_AUTH"
    echo "sentinel down-after-milliseconds $MASTER_NAME $DOWN_AFTER"
    echo "sentinel failover-timeout $MASTER_NAME $FAILOVER_TIMEOUT"
    echo "sentinel parallel-syncs $MASTER_NAME 1"
    # The identity, and what the sentinels have agreed on; the master of today may be a replica of then.
    if [ -f "$old" ]; then
      grep -E '^sentinel (myid|current-epoch|config-epoch|leader-epoch|known-replica|known-sentinel) ' "$old" |
        grep -vxF "sentinel known-replica $MASTER_NAME ${master%:*} ${master##*:}" || true
    fi
  } >"$old.new"
  mv "$old.new" "$old"
  exec "$server" "$old" --sentinel
}

# Hands over before a planned stop: Redis then loses no write.
leave() {
  [ -n "${SENTINELS:-}" ] || exit 0
  ask "$SELF" ROLE | head -n 1 | grep -qx master || exit 0
  for sentinel in $SENTINELS; do
    if ask "$sentinel" SENTINEL FAILOVER "$MASTER_NAME" >/dev/null; then break; fi
  done
  waited=0
  while [ "$waited" -lt 15 ] && ask "$SELF" ROLE | head -n 1 | grep -qx master; do
    sleep 1
    waited=$((waited + 1))
  done
}

case ${1:-} in
server) run_server ;;
sentinel) run_sentinel "${2:?a port}" ;;
probe) [ "$(ask "127.0.0.1:${2:?a port}" PING)" = PONG ] ;;
leave) leave ;;
*)
  sed -n 's/^# Usage: //p' "$0" >&2
  exit 2
  ;;
esac
