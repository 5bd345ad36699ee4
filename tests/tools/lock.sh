#!/bin/sh
# Makes requirements/runtime.txt, dev.txt and bench.txt again from pyproject.toml, for every supported Python, system and
# architecture at once, with hashes. uv comes from the index into a throw-away environment. --upgrade as $1: newest versions.
set -eu
cd -P -- "$(dirname -- "$0")/../.."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
trap 'exit 130' INT TERM
"${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check 'uv==0.13.9'

# uv does not read pip's settings: hand it those that reach an index.
if [ -n "${PIP_CERT:-}" ] && [ -z "${SSL_CERT_FILE:-}" ]; then export SSL_CERT_FILE="$PIP_CERT"; fi
if [ -n "${PIP_INDEX_URL:-}" ] && [ -z "${UV_DEFAULT_INDEX:-}" ]; then export UV_DEFAULT_INDEX="$PIP_INDEX_URL"; fi

compile() {
    "$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --only-binary :all: --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' "$@"
}

compile pyproject.toml "$@" --output-file requirements/runtime.txt
compile pyproject.toml "$@" --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt
compile "$@" --group bench --output-file requirements/bench.txt # apart: Locust patches the standard library
git --no-pager diff --stat -- requirements
