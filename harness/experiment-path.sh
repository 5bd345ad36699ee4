#!/bin/sh
# Prints the path of the experiment that NAME (in the environment) names: experiments/NAME.yaml, never outside it.
# Exit status 2, with one line that lists what there is, when there is no such experiment.
set -eu
export LC_ALL=C
cd -P -- "$(dirname -- "$0")/.."

available() {
    find experiments -name '*.yaml' ! -path 'experiments/hosts/*' | sed 's|^experiments/||; s|\.yaml$||' | sort | tr '\n' ' '
}

refuse() {
    printf '%s; there are: %s\n' "$1" "$(available)" >&2
    exit 2
}

[ -n "${NAME:-}" ] || refuse 'NAME is missing, as in NAME=quickstart'
case "/$NAME/" in
    *[!A-Za-z0-9_/-]* | *//* | */[!A-Za-z0-9]* | /hosts/*)
        refuse 'NAME is not the name of a file under experiments/ without its .yaml (letters, digits, - and _; folders with /)'
        ;;
esac
[ -f "experiments/$NAME.yaml" ] || refuse "experiments/$NAME.yaml is not there"
printf 'experiments/%s.yaml\n' "$NAME"
