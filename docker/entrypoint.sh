#!/bin/sh
# The agents' token comes in the environment (Compose's .env) and goes into a file that only Plimsoll can read, so that what it starts does
# not inherit it. `docker inspect` shows the container's environment all the same: mount a file at /run/plimsoll/token (a secret)
# where that matters, and leave PLIMSOLL_TOKEN out.
set -eu
if [ -n "${PLIMSOLL_TOKEN:-}" ]; then
    (umask 077 && printf '%s\n' "$PLIMSOLL_TOKEN" > /run/plimsoll/token)
    unset PLIMSOLL_TOKEN
fi
case "${1:-}" in
    serve | run) unset PLIMSOLL_ADMIN_TOKEN ;; # for `docker exec` and the health check, which get the container's environment
esac
exec plimsoll "$@"
