#!/usr/bin/env bash
# The pure world stays pure: no library but the standard one, no clock, no file, no thread, no I/O.
set -u
found=$(grep -rnE '#include <(boost|spdlog|toml|thread|mutex|atomic|fstream|iostream|unistd|sys/|filesystem)|::now\(' \
    include/plimsoll src/core src/policy src/leak src/fleet/pure src/sim 2>/dev/null)
[ -z "$found" ] && exit 0
echo "an effect in the pure world:"; echo "$found"; exit 1
