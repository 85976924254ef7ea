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

# The configuration as a sentinel has it: the epoch, the master as host:port, and the sentinel. Nothing if it does not answer.
view() {
  epoch=$(ask "$1" SENTINEL MASTER "$MASTER_NAME" | sed -n '/^config-epoch$/{n;p;}')
  found=$(ask "$1" SENTINEL GET-MASTER-ADDR-BY-NAME "$MASTER_NAME" | tr '\n' ':' | sed 's/:$//')
  case $epoch/$found in
  /* | */ | */:*) ;; # While the name of the master does not resolve, a sentinel answers an empty host.
  *) echo "$epoch $found $1" ;;
  esac
}

# The views that outlived the last run: of the sentinel beside this server when it last changed, and of the others at a planned stop.
kept_views() {
  if [ -f "$DATA/view" ]; then cat "$DATA/view"; fi
  if [ -f "$DATA/sentinel.conf" ]; then
    epoch=$(sed -n "s/^sentinel config-epoch $MASTER_NAME //p" "$DATA/sentinel.conf" | tail -n 1)
    sed -n "s/^sentinel monitor $MASTER_NAME \([^ ]*\) \([0-9]*\) .*/${epoch:-0} \1:\2 kept/p" "$DATA/sentinel.conf" | tail -n 1
  fi
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

# The newest view, as between sentinels that of the greatest epoch. Without any, the master of the last run, or the first server.
first_view() {
  newest=$(
    for sentinel in ${SENTINELS:-}; do view "$sentinel"; done
    [ -z "${SENTINELS:-}" ] || kept_views
  )
  newest=$(echo "$newest" | sort -s -r -n -k 1,1 | head -n 1)
  if [ -z "$newest" ] && [ -f "$DATA/redis.conf" ]; then
    last=$(sed -n 's/^replicaof "\{0,1\}\([^ "]*\)"\{0,1\} \([0-9]*\)$/\1:\2/p' "$DATA/redis.conf" | tail -n 1)
    newest="0 ${last:-$SELF}"
  fi
  echo "${newest:-0 ${PEERS%% *}}"
}

first_master() {
  first_view | cut -d ' ' -f 2
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

# Whether most servers follow a master that another sentinel names, under an epoch that is not older, and this one does not.
is_left_behind() {
  mine=$(view "$1")
  newest=$(
    for sentinel in $SENTINELS; do
      if [ "$sentinel" != "$1" ]; then view "$sentinel"; fi
    done | sort -s -r -n -k 1,1 | head -n 1
  )
  master=$(echo "$newest" | cut -d ' ' -f 2)
  [ -n "$mine" ] && [ -n "$newest" ] && [ "${newest%% *}" -ge "${mine%% *}" ] || return 1
  [ "$(echo "$mine" | cut -d ' ' -f 2)" != "$master" ] || return 1
  followers=0
  for peer in $PEERS; do
    # master OFFSET …, or slave HOST PORT …
    case "$peer $(ask "$peer" ROLE | tr '\n' ' ')" in
    "$master master "* | *" slave ${master%:*} ${master##*:} "*) followers=$((followers + 1)) ;;
    esac
  done
  [ "$followers" -ge "$QUORUM" ]
}

# Ends the sentinel, a process that is started again, when it is left behind. A sentinel that cannot resolve the name of the new master at
# a failover takes its epoch and keeps the former master for ever; after eight seconds it makes the new one a replica of that.
watch() {
  behind=0
  while sleep 3 && kill -0 "$1" 2>/dev/null; do
    if is_left_behind "$2"; then behind=$((behind + 1)); else behind=0; fi
    if [ "$behind" -ge 2 ]; then
      echo "redis.sh: the servers and the other sentinels have another master than this sentinel: it starts again" >&2
      kill "$1"
      return
    fi
  done
}

run_sentinel() {
  # A sentinel refuses to start with a master whose name does not resolve.
  until ask "$SELF" PING >/dev/null; do sleep 1; done
  first=$(first_view)
  master=$(echo "$first" | cut -d ' ' -f 2)
  until ask "$master" PING >/dev/null; do
    sleep 1
    first=$(first_view)
    master=$(echo "$first" | cut -d ' ' -f 2)
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
    # The epoch belongs to this master. A sentinel that began with an older one, and was asked for a failover before it heard from the
    # others, would give the same epoch to another master; they then keep theirs for ever.
    echo "sentinel config-epoch $MASTER_NAME ${first%% *}"
    # A failover leaves behind the replicas that its sentinel does not know, and it reads the master's list every ten seconds only.
    for peer in $PEERS; do
      if [ "$peer" != "$master" ]; then echo "sentinel known-replica $MASTER_NAME ${peer%:*} ${peer##*:}"; fi
    done
    # The identity, and what this sentinel knew of the others.
    if [ -f "$old" ]; then grep -E '^sentinel (myid|current-epoch|leader-epoch|known-sentinel) ' "$old" || true; fi
  } >"$old.new"
  mv "$old.new" "$old"
  watch $$ "${SELF%:*}:$1" &
  exec "$server" "$old" --sentinel
}

is_master() {
  ask "$SELF" ROLE | head -n 1 | grep -qx master
}

# Makes another server the master, and waits until every sentinel that answers names it; fails if that takes longer than until $deadline.
hand_over() {
  others=
  count=0
  looks=0
  # The sentinels' messages wait too: for longer than DOWN_AFTER they would count this server as down.
  pause=$((DOWN_AFTER * 4 / 5))
  [ "$pause" -le 4000 ] || pause=4000
  for sentinel in $SENTINELS; do
    # The sentinel beside this server stops at the same time, perhaps in the middle of a failover.
    if [ "${sentinel%:*}" != "${SELF%:*}" ]; then
      others="$others $sentinel"
      count=$((count + 1))
    fi
  done
  while [ "$(date +%s)" -lt "$deadline" ]; do
    seen=$(for sentinel in $others; do view "$sentinel"; done | sort -s -r -n -k 1,1)
    newest=$(echo "$seen" | head -n 1)
    master=$(echo "$newest" | cut -d ' ' -f 2)
    if [ "$master" = "$SELF" ]; then
      # Writes wait: the next master would not get them.
      ask "$SELF" CLIENT PAUSE "$pause" WRITE >/dev/null || true
      # The newest of the others has no lower epoch than any other, and so begins one that all accept.
      case $(ask "${newest##* }" SENTINEL FAILOVER "$MASTER_NAME") in
      OK | INPROG*) ;;
      *) ask "$SELF" CLIENT UNPAUSE >/dev/null || true ;;
      esac
    elif [ -n "$master" ]; then
      # Writes that waited are refused, so that clients look for the next master, and no sentinel takes this server for the master any more:
      # one that missed the failover would make the next master its replica. A replica of nobody keeps its data, and stops at a signal.
      ask "$SELF" REPLICAOF 127.0.0.1 1 >/dev/null || true
      ask "$SELF" CLIENT UNPAUSE >/dev/null || true
      if [ "$(echo "$seen" | cut -d ' ' -f 2 | sort -u)" = "$master" ]; then
        # One that does not answer may be busy, or gone.
        looks=$((looks + 1))
        if [ "$(echo "$seen" | wc -l)" -eq "$count" ] || [ "$looks" -ge 3 ]; then
          echo "$newest" >"$DATA/view"
          return 0
        fi
      fi
    fi
    sleep 1
  done
  return 1
}

# Before a planned stop.
leave() {
  deadline=$(($(date +%s) + 30))
  if [ -n "${SENTINELS:-}" ] && is_master && ! hand_over; then
    echo "redis.sh: no other master within 30 s; the sentinels choose one when this server is down" >&2
  fi
  # A server that writes its first append-only file after a synchronization forgets the signal to stop, and would be killed later.
  while [ "$(date +%s)" -lt "$deadline" ] && ask "$SELF" INFO persistence | grep -q '^aof_rewrite_in_progress:1'; do sleep 1; done
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
