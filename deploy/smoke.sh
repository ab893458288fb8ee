#!/usr/bin/env bash
# Shows that the fleet of docker-compose.yml, which must be up, does what it is for: a message arrives through the balancer,
# on whichever nodes its reader is; then a node is stopped, and another one killed, while messages are sent and counted.
#
#   docker compose up --detach && deploy/smoke.sh
#
# Prints a line for each step. The exit status is that of the load generator, which is not 0 if a message was lost, came
# twice or out of order; or 1 if something else was not as it should be. It needs curl and `docker compose`, and leaves
# some users behind. To set: SMOKE_RATE (messages a second, 200), SMOKE_USERS (40, an even number), SMOKE_SECONDS (of
# each round, 60: a drain takes up to 30 of them).
set -euo pipefail
cd "$(dirname "$0")/.."

RATE=${SMOKE_RATE:-200} USERS=${SMOKE_USERS:-40} ROUND=${SMOKE_SECONDS:-60}
FOLDER=$(mktemp -d)
RUN=$(date +%s)
PASSWORD=$(od -An -vtx1 -N16 /dev/urandom | tr -d ' \n')
STREAMS=() LOAD=""

step() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*"; }
fail() {
    step "FAILED: $*"
    exit 1
}

clean_up() {
    [ -z "$LOAD" ] || kill "$LOAD" 2>/dev/null || true
    [ ${#STREAMS[@]} = 0 ] || kill "${STREAMS[@]}" 2>/dev/null || true
    rm -rf "$FOLDER"
}
trap clean_up EXIT

# Tries a command until it succeeds, for so many seconds.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}

# What comes back from the balancer, as one of the two users: `request ann /path [curl options]`. An error fails.
request() {
    local user=$1 path=$2
    shift 2
    curl --silent --show-error --fail-with-body --max-time 10 --cookie "$FOLDER/$user.jar" --cookie-jar "$FOLDER/$user.jar" \
        --header 'X-Requested-With: smoke' --header 'Content-Type: application/json' "$@" "$URL$path"
}

# The first number under that name in a line of JSON.
number() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" | head -n 1; }

# The nodes that have at least one session, by the balancer's own count.
busy_nodes() {
    docker compose exec -T haproxy bash -c \
        'exec 3<>/dev/tcp/127.0.0.1/8404 && printf "GET /stats;csv HTTP/1.0\r\n\r\n" >&3 && cat <&3' |
        awk -F, '$1 == "nodes" && $2 != "BACKEND" && $5 > 0 { print $2 }' | wc -l
}

make_user() {
    local account
    account="{\"username\":\"$1_$RUN\",\"password\":\"$PASSWORD\",\"full_name\":\"$1\"}"
    request "$1" /api/v1/auth/register --data "$account" >/dev/null
    request "$1" /api/v1/auth/login --data "$account" >/dev/null
    request "$1" /api/v1/me | number id
}

# Event streams of one user, one a node: the balancer gives each the node with the fewest sessions.
open_streams() {
    local user=$1 n=$2 index
    for index in $(seq "$n"); do
        curl --silent --no-buffer --cookie "$FOLDER/$user.jar" "$URL/api/v1/events/stream" >"$FOLDER/stream$index" &
        STREAMS+=($!)
        within 10 grep -qs '"welcome"' "$FOLDER/stream$index" || fail "event stream $index does not begin"
    done
}

everywhere() { [ "$(grep -l "$1" "$FOLDER"/stream* | wc -l)" = "$N_NODES" ]; }
is_healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]; }

# Users for the load, made once, and their tokens.
make_tokens() {
    local first last
    {
        echo username,full_name
        for index in $(seq "$USERS"); do printf 'load_%04d,Load %d\n' "$index" "$index"; done
    } | docker compose exec -T node sh -c 'cat >/tmp/users.csv && switchboard user import /tmp/users.csv' >"$FOLDER/users"
    [ "$(wc -l <"$FOLDER/users")" = "$USERS" ] || fail "the import made $(wc -l <"$FOLDER/users") users"
    first=$(cut -f 1 "$FOLDER/users" | sort -n | head -n 1)
    last=$(cut -f 1 "$FOLDER/users" | sort -n | tail -n 1)
    # The range may hold others: only those of the file.
    docker compose exec -T node switchboard token --users "$first..$last" --ttl 2h |
        awk -F'\t' 'NR == FNR { wanted[$1]; next } $1 in wanted' "$FOLDER/users" - >"$FOLDER/tokens"
}

start_load() {
    docker compose run --rm -T load --tokens /dev/stdin --url http://haproxy:8080 \
        run --rate "$RATE" --seconds "$ROUND" --users "$USERS" <"$FOLDER/tokens" >"$FOLDER/load" 2>&1 &
    LOAD=$!
    # Ten seconds: its container starts, its users connect, and messages flow.
    sleep 10
    kill -0 "$LOAD" 2>/dev/null || { cat "$FOLDER/load"; fail "the load generator does not run"; }
}

# Waits for the generator. Its verdict is the verdict.
end_load() {
    local status=0
    wait "$LOAD" || status=$?
    LOAD=""
    sed 's/^/    /' "$FOLDER/load"
    [ $status = 0 ] || { step "FAILED: the load generator ended with status $status"; exit $status; }
}

start_again() {
    docker start "$1" >/dev/null
    within 60 is_healthy "$1" || fail "the node does not come back"
    step "it is back and healthy"
}

URL=http://$(docker compose port haproxy 8080 | sed 's/^0\.0\.0\.0/127.0.0.1/; s/^\[::\]/127.0.0.1/')
mapfile -t NODES < <(docker compose ps --quiet node)
N_NODES=${#NODES[@]}
[ "$N_NODES" -ge 2 ] || fail "there must be two nodes or more, and there are $N_NODES"
is_ready() { request nobody /ready >/dev/null 2>&1; }
within 30 is_ready || fail "$URL is not ready"
step "$URL is ready, with $N_NODES nodes"

ann=$(make_user ann)
bob=$(make_user bob)
step "ann ($ann) and bob ($bob) have accounts and are logged in"

open_streams bob "$N_NODES"
n_busy=$(busy_nodes)
[ "$n_busy" -ge 2 ] || fail "$N_NODES event streams are all on one node"
step "bob listens $N_NODES times, on $n_busy nodes"

request ann /api/v1/messages --data "{\"recipient_id\":$bob,\"content\":\"hello $RUN\",\"client_message_id\":\"a$RUN\"}" >"$FOLDER/sent"
within 5 everywhere "hello $RUN" || fail "ann's message is not on all of bob's streams"
step "ann's message $(number message_id <"$FOLDER/sent") is on all of them"

kill "${STREAMS[@]}" 2>/dev/null || true
wait "${STREAMS[@]}" 2>/dev/null || true
STREAMS=()

make_tokens
[ "$(wc -l <"$FOLDER/tokens")" = "$USERS" ] || fail "there are tokens for $(wc -l <"$FOLDER/tokens") users"
step "$USERS users for the load are there, with tokens"

start_load
step "round 1: $RATE messages a second; SIGTERM to one of $N_NODES nodes"
started=$SECONDS
docker stop "${NODES[0]}" >/dev/null
status=$(docker inspect --format '{{.State.ExitCode}}' "${NODES[0]}")
[ "$status" = 0 ] || fail "the node ended with status $status after $((SECONDS - started)) s: it was cut, or broke"
step "it handed over its sessions and ended after $((SECONDS - started)) s"
start_again "${NODES[0]}"
end_load
step "round 1: nothing lost, nothing twice, all in order"

start_load
step "round 2: $RATE messages a second; SIGKILL to one of $N_NODES nodes"
docker kill "${NODES[1]}" >/dev/null
sleep 5
start_again "${NODES[1]}"
end_load
step "round 2: nothing lost, nothing twice, all in order"
