#!/bin/sh
# Makes .venv from a hashed lock, and does nothing while the lock, the Python and the place are the same.
#
#   harness/setup.sh runtime    what a user needs       (requirements/runtime.txt)
#   harness/setup.sh dev        the same and the tests  (requirements/dev.txt, made on top of the other)
#
# PYTHON names the interpreter to use; without it the first fitting one on PATH is taken.
# Exit status: 0 ready, 2 wrong argument, 3 this machine cannot run it, with the one thing to do. Never sudo.
set -eu

cd -P -- "$(dirname -- "$0")/.."
here=$(pwd -P)
state=.ceiling
log=$state/setup.log
stamp=.venv/ceiling-stamp
supported="Linux (WSL2 included) on x86-64 or arm64, with CPython 3.11 to 3.14"

say() { printf 'set-up: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 3
}

lock_file() { printf 'requirements/%s.txt' "$1"; }

lock_line() { printf '%s %s' "$1" "$(sha256sum < "$(lock_file "$1")" | cut -d ' ' -f 1)"; }

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null; }

# Prints `VERSION IMPLEMENTATION pip|no-pip`, or fails: shims of version managers are on PATH and do not run.
probe() {
    "$1" -c 'import sys
try:
    import ensurepip, venv
    pip = "pip"
except ImportError:
    pip = "no-pip"
print("%d.%d" % sys.version_info[:2], sys.implementation.name, pip)' 2> /dev/null
}

# A copied checkout, a Python that is gone or was upgraded, or an interrupted set-up leave a stamp that does not fit.
is_current() {
    [ -f "$stamp" ] && version=$(version_of .venv/bin/python) &&
        grep -qxF "at $here" "$stamp" && grep -qxF "python $version" "$stamp" && grep -qxF "$(lock_line "$1")" "$stamp"
}

check_platform() {
    case "$(uname -s)" in
        Linux) ;;
        *) die "$(uname -s) is not supported; Ceiling runs on $supported" ;;
    esac
    case "$(uname -m)" in
        x86_64 | amd64 | aarch64 | arm64) ;;
        *) die "the processor $(uname -m) is not supported; Ceiling runs on $supported" ;;
    esac
}

# Sets `python` and `python_version` to the first fitting interpreter, one that can make a venv before one that cannot.
find_python() {
    python='' python_version='' python_pip='' seen=''
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3 python3.14 python3.13 python3.12 python3.11
    fi
    for candidate; do
        facts=$(probe "$candidate") || continue
        read -r version implementation pip <<FACTS
$facts
FACTS
        seen="$seen $version"
        case "$implementation $version" in
            'cpython 3.11' | 'cpython 3.12' | 'cpython 3.13' | 'cpython 3.14') ;;
            *) continue ;;
        esac
        if [ -z "$python" ] || [ "$pip $python_pip" = 'pip no-pip' ]; then
            python=$candidate python_version=$version python_pip=$pip
        fi
    done
    [ -n "$python" ] || die "no supported Python found (on PATH:${seen:- none}); Ceiling runs on $supported"
}

# Stock Debian and Ubuntu ship Python without ensurepip.
need_ensurepip() {
    [ "$python_pip" = no-pip ] || return 0
    package=python$python_version-venv
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        die "Python $python_version cannot make a virtual environment; run as root: apt-get install $package"
    fi
    say "installing $package …"
    {
        for _ in 1 2 3 4 5 6; do # another apt-get may hold the lists, as it does on a machine that has just started
            apt-get -q update && break
            sleep 10
        done
        DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
            install --no-install-recommends "$package"
    } < /dev/null > "$log" 2>&1 || die "apt-get could not install $package; the reason is at the end of $log"
}

# One line on a terminal, rewritten every second, while process $1 runs.
show_progress() {
    [ -t 2 ] || return 0
    while kill -0 "$1" 2> /dev/null; do
        found=$(grep -c '^Collecting ' "$log" || :)
        step='fetching'
        grep -q '^Installing collected' "$log" && step='installing'
        printf '\rset-up: %s, %s packages, %d s ' "$step" "$found" "$(($(date +%s) - began))" >&2
        sleep 1
    done
    printf '\r\033[K' >&2
}

explain_failure() {
    if grep -q 'DO NOT MATCH THE HASHES' "$log"; then
        die "a downloaded package is not the one in $1 (its hash differs): a mirror altered it? See $log"
    elif grep -Eqi 'connection|name resolution|unreachable|timed out|proxyerror|sslerror' "$log"; then
        die "no package index could be reached, and one is needed once: check the network; behind a proxy set" \
            "https_proxy and PIP_CERT, with a mirror PIP_INDEX_URL. See $log"
    elif grep -q 'No matching distribution' "$log"; then
        die "$(sed -n 's/.*No matching distribution found for \([^ ]*\).*/\1/p' "$log" | head -n 1) has no wheel for" \
            "this Python $python_version on $(uname -m); Ceiling runs on $supported. See $log"
    fi
    die "pip failed; the reason is at the end of $log"
}

install_lock() {
    file=$(lock_file "$1")
    PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install --no-input --progress-bar off \
        --require-hashes --only-binary :all: -r "$file" < /dev/null > "$log" 2>&1 &
    pip_pid=$!
    trap 'kill "$pip_pid" 2> /dev/null; exit 130' INT TERM
    show_progress "$pip_pid"
    wait "$pip_pid" || explain_failure "$file"
    trap - INT TERM
}

# The command `harness`, of this checkout, from any folder (-P: a folder named `harness` there does not get in).
install_command() {
    printf '%s\n' "$here" > "$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ceiling.pth"
    cat > .venv/bin/harness <<'LAUNCHER'
#!/bin/sh
exec "${0%/*}/python" -P -m harness "$@"
LAUNCHER
    chmod +x .venv/bin/harness
}

make_venv() {
    began=$(date +%s)
    check_platform
    if [ "$1" = dev ] && is_current runtime; then
        python_version=$(version_of .venv/bin/python)
        say "adding $(lock_file dev) to .venv …"
        rm -f "$stamp" # from here on an interrupted set-up counts as none
    else
        find_python
        need_ensurepip
        say "making .venv from $(lock_file "$1") with Python $python_version, once …"
        rm -f "$stamp"
        "$python" -m venv --clear .venv > "$log" 2>&1 || die "$python could not make .venv; the reason is in $log"
    fi
    install_lock "$1"
    install_command
    {
        printf 'at %s\npython %s\n' "$here" "$python_version"
        lock_line runtime && echo
        if [ "$1" = dev ]; then lock_line dev && echo; fi
    } > "$stamp.new"
    mv "$stamp.new" "$stamp"
    say "ready in $(($(date +%s) - began)) s"
}

case "${1:-}" in
    runtime | dev) ;;
    *)
        say "say which: harness/setup.sh runtime or harness/setup.sh dev"
        exit 2
        ;;
esac
is_current "$1" && exit 0
check_platform
{ mkdir -p "$state" && [ -w . ] && [ -w "$state" ]; } 2> /dev/null ||
    die "$here is not yours to write; make a checkout of your own, or run this as $(stat -c %U .)"
exec 9> "$state/setup.lock"
if ! flock -n 9; then
    say "another set-up is at work here; waiting for it …"
    flock -w 1800 9 || die "another set-up has held $state/setup.lock for half an hour; end it and try again"
fi
is_current "$1" || make_venv "$1"
