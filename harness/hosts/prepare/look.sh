# shellcheck shell=sh disable=SC3045 # `ulimit -H`: not in POSIX, in every sh of Debian and Ubuntu
# What `harness hosts prepare` has to know of a host: one `key value …` a line, in one round trip. Changes nothing.
# Runs as root with `sh -s`; its arguments are `sysctl:NAME`, `file:PATH` and `nofile:NUMBER`, what to look at besides.
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH

say() { printf '%s\n' "$*"; }
have() { command -v "$1" > /dev/null 2>&1; }

user=${SUDO_USER:-$(id -un)}
say user "$user"
say groups "$(id -nG "$user")"

while IFS='=' read -r key value; do
    value=${value#\"}
    case $key in
        ID | ID_LIKE | VERSION_ID | VERSION_CODENAME | PRETTY_NAME) say "os.$key" "${value%\"}" ;;
    esac
done < /etc/os-release

if [ -d /run/systemd/system ]; then say init systemd; elif have service; then say init service; else say init none; fi
# The kernel numbers its first PID namespace so, always; in any other this is a container, and shares the kernel.
own=$(readlink /proc/self/ns/pid)
if [ "$own" != 'pid:[4026531836]' ]; then say container yes; fi
for name in python3 docker dockerd apt-get; do
    if have $name; then say command $name; fi
done

# `docker version` ends with status 0 only where an engine has answered it.
if have docker && version=$(timeout 10 docker version --format '{{.Server.Version}}' 2> /dev/null); then
    say engine "$version"
    say running "$(timeout 10 docker ps -q | wc -l)"
fi
if [ -d /run/systemd/system ]; then
    for unit in docker containerd; do
        state=$(systemctl is-enabled "$unit" 2> /dev/null) # nothing, or `not-found`, where there is no such unit
        case $state in '' | not-found) ;; *) say "unit.$unit" "$state" ;; esac
    done
fi
for comm in /proc/[0-9]*/comm; do
    read -r name < "$comm" || continue
    case $name in
        dockerd | containerd)
            [ "$(readlink "${comm%comm}ns/pid")" = "$own" ] || continue # one within a container is not this host's
            limit=$(sed -n 's/^Max open files *[^ ]* *\([^ ]*\).*/\1/p' "${comm%comm}limits") && say "limit.$name" "$limit"
            ;;
    esac
done 2> /dev/null
say limit.session "$(ulimit -Hn)"
if have cloud-init; then say cloud-init "$(timeout 20 cloud-init status 2> /dev/null | sed -n 's/^status: //p')"; fi

for what; do
    name=${what#*:}
    case $what in
        sysctl:*)
            path=/proc/sys/$(printf %s "$name" | tr . /)
            if [ -w "$path" ]; then say "sysctl $name rw" "$(cat "$path")"; elif [ -r "$path" ]; then say "sysctl $name ro" "$(cat "$path")"; fi
            ;;
        file:*) if [ -f "$name" ]; then say "file $name" "$(base64 < "$name" | tr -d '\n')"; fi ;;
        nofile:*) if (ulimit -Hn "$name") 2> /dev/null; then say raises "$name"; fi ;;
    esac
done
say looked yes
