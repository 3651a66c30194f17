#!/usr/bin/env bash
# The formatter over everything; clang-tidy over what changed against its stamps in build/tidy, two files at a time.
# Files that include Beast or Asio take clang-tidy half a minute each and are left to `PLIMSOLL_TIDY_ALL=1`.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files 'src/*.cpp' 'src/*.hpp' 'include/*.hpp' 'tests/*.cpp' 'tests/*.hpp' | xargs clang-format --dry-run -Werror
files=$(git ls-files 'src/core/*.cpp' 'src/policy/*.cpp' 'src/leak/*.cpp' 'src/fleet/pure/*.cpp' 'src/sense/*.cpp' \
    'src/config/*.cpp' 'src/net/http/*.cpp' 'src/store/*.cpp')
[ -z "${PLIMSOLL_TIDY_ALL:-}" ] || files=$(git ls-files 'src/*.cpp')
echo "$files" | xargs -P 2 -n 4 clang-tidy -p build/dev --quiet 2> >(grep -v 'warnings generated\|Suppressed\|Use -header-filter' >&2)
echo "lint: clean"
