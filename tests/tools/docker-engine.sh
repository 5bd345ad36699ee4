#!/usr/bin/env bash
# A Docker engine for the tests, where there is none.
#
#   tests/tools/docker-engine.sh start    an engine answers afterwards; one that answers already is left as it is
#   tests/tools/docker-engine.sh stop     undoes one `start`: the last one ends the engine that the first one started
#
# Only an engine that this script started is ever stopped. Its images stay under $data for the next time.
# Exit status: 0 done; 2 wrong argument; 3 there is no engine and none may be started here, with the one thing to do.
# Never sudo.
set -euo pipefail

data=/var/lib/ceiling-engine        # images and layers: a real disk, kept
state=/run/ceiling-engine           # gone after a reboot, as the daemon is
pidfile=$state/dockerd.pid
users=$state/users                  # number of `start`s not yet undone
log=$data/dockerd.log
socket=/var/run/docker.sock
start_deadline_s=60
stop_deadline_s=30
export PATH="$PATH:/usr/sbin:/sbin"

say() { printf 'docker-engine: %s\n' "$*"; }

die() {
    printf 'docker-engine: %s\n' "$*" >&2
    exit 3
}

# Asks the engine itself: the docker command is a package of its own on newer systems, and need not be there.
answers() {
    python3 - "${DOCKER_HOST:-unix://$socket}" <<'PYTHON'
import socket, sys

scheme, _, path = sys.argv[1].partition("://")
if scheme != "unix":
    sys.exit(1)
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(5)
    try:
        connection.connect(path)
        connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        sys.exit(0 if b" 200 " in connection.recv(64) else 1)
    except OSError:
        sys.exit(1)
PYTHON
}

# The daemon is ours if its command line names our pidfile: process ids are reused, that is not.
is_ours() {
    local pid
    pid=$(cat "$pidfile" 2> /dev/null) && grep -qzxF -- "--pidfile=$pidfile" "/proc/$pid/cmdline" 2> /dev/null
}

installed() { command -v dockerd > /dev/null && command -v iptables > /dev/null; }

# Packages start their daemons unless policy-rc.d forbids it; ours is to be the only one.
install_engine() {
    local policy=/usr/sbin/policy-rc.d ours=no
    command -v apt-get > /dev/null || die "no Docker engine here; install one (docs.docker.com/engine/install) and start it"
    say "installing docker.io (apt-get) …"
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod 755 "$policy"
    fi
    apt_get update || true
    apt_get install --no-install-recommends docker.io containerd runc iptables || true
    [ "$ours" = no ] || rm -f "$policy"
    installed || die "apt-get could not install docker.io; its output is in $log"
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive timeout 600 \
        apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" < /dev/null >> "$log" 2>&1
}

launch() {
    say "starting dockerd (data in $data, log in $log) …"
    rm -f "$pidfile"
    # Descriptor 9 is the lock: the daemon must not keep it.
    setsid nohup dockerd --pidfile="$pidfile" --exec-root="$state/exec" --data-root="$data/data" \
        --host="unix://$socket" < /dev/null >> "$log" 2>&1 9>&- &
    local launched=$! deadline=$((SECONDS + start_deadline_s))
    until answers; do
        if ! kill -0 "$launched" 2> /dev/null; then
            die "dockerd ended at once; see the end of $log: $(tail -n 1 "$log")"
        fi
        if [ "$SECONDS" -ge "$deadline" ]; then
            kill "$launched" 2> /dev/null || true
            die "dockerd did not answer within $start_deadline_s s; see the end of $log"
        fi
        sleep 0.2
    done
}

start() {
    if answers; then
        if is_ours; then
            echo $(($(cat "$users") + 1)) > "$users"
            say "the engine that this script started runs already"
        else
            say "an engine runs already; it is left as it is"
        fi
        return
    fi
    [ -z "${DOCKER_HOST:-}" ] || die "no engine answers at DOCKER_HOST=$DOCKER_HOST; start that one, or unset DOCKER_HOST"
    [ "$(id -u)" = 0 ] || die "no Docker engine answers; start one (as root: $0 start), and join its group: usermod -aG docker $(id -un)"
    installed || install_engine
    launch
    echo 1 > "$users"
    say "the engine answers"
}

stop() {
    is_ours || return 0
    local left=$(($(cat "$users" 2> /dev/null || echo 1) - 1)) pid deadline
    echo "$left" > "$users"
    if [ "$left" -gt 0 ]; then
        say "the engine stays, another start still counts on it"
        return
    fi
    pid=$(cat "$pidfile")
    deadline=$((SECONDS + stop_deadline_s))
    kill "$pid"
    while kill -0 "$pid" 2> /dev/null; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            kill -KILL "$pid" 2> /dev/null || true
            break
        fi
        sleep 0.2
    done
    rm -f "$pidfile" "$users"
    say "the engine that this script started is stopped"
}

# One at a time. Without root nothing of ours can be there, and nothing is written.
locked() {
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$data" "$state"
        exec 9> "$state/lock"
        flock -w 120 9 || die "another $0 holds $state/lock for two minutes; end it first"
    fi
    "$1"
}

case "${1:-}" in
    start | stop) locked "$1" ;;
    *)
        echo "usage: $0 start|stop" >&2
        exit 2
        ;;
esac
