#!/usr/bin/env bash
# The formatter over everything; clang-tidy over the sources as the asan preset joins them, two of its files at a time: so the headers of
# sixteen sources are read once. Those that include Asio take it half a minute each and are left to `PLIMSOLL_TIDY_ALL=1`.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files 'src/*.cpp' 'src/*.hpp' 'include/*.hpp' 'tests/*.cpp' 'tests/*.hpp' | xargs clang-format --dry-run -Werror
libraries="core sim sense config http store log"
[ -z "${PLIMSOLL_TIDY_ALL:-}" ] || libraries+=" net fleet admin cli"
for library in $libraries; do grep -o "[^\"]*plimsoll_$library.dir/Unity/[^\"]*" <(grep '"file"' build/asan/compile_commands.json); done |
    xargs -P 2 -n 1 clang-tidy -p build/asan --quiet --checks=-bugprone-suspicious-include \
    2> >(grep -v 'warnings generated\|Suppressed\|Use -header-filter' >&2)
echo "lint: clean"
