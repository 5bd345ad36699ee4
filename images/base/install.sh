#!/bin/sh
# Installs packages and leaves nothing else behind. DEBIAN_MIRROR is another mirror to take them from, and ca-bundle.crt
# beside this script, where it is there, the certificates to trust: both for this installation only.
set -eu

here=$(dirname -- "$0")
packages=$*

set -- -q -y -o Acquire::Retries=3 -o APT::Update::Error-Mode=any
if [ -n "${DEBIAN_MIRROR:-}" ]; then
    # shellcheck source=/dev/null
    . /etc/os-release
    echo "deb $DEBIAN_MIRROR $VERSION_CODENAME main" > "$here/mirror.list"
    set -- "$@" -o Dir::Etc::SourceList="$here/mirror.list" -o Dir::Etc::SourceParts=-
fi
if [ -f "$here/ca-bundle.crt" ]; then
    set -- "$@" -o Acquire::https::CaInfo="$here/ca-bundle.crt"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get "$@" update
# shellcheck disable=SC2086 # a list of names
apt-get "$@" install --no-install-recommends $packages
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log
