#!/bin/sh
# CPU per request of the data path against the dumb relay, nginx and HAProxy, interleaved, as a table of ratios.
#   tests/bench/datapath/run.sh [--rounds N] [--shapes s,m,...] [--peers nginx,haproxy] [--binary PATH]
# Needs two cores, and a build (make, or cmake --preset release).
set -eu
cd "$(dirname "$0")/../../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for tool in load relay; do
    ${CXX:-c++} -std=c++20 -O2 -o "$out/$tool" "tests/bench/datapath/$tool.cpp"
done
python3 tests/bench/datapath/run.py --tools "$out" "$@"
