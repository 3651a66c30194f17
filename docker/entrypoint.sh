#!/bin/sh
# The agents' token comes in the environment (Compose's .env) and goes into a file that only Plimsoll can read: a process's
# environment is shown by `docker inspect` and inherited by whatever it starts.
set -eu
if [ -n "${PLIMSOLL_TOKEN:-}" ]; then
    (umask 077 && printf '%s\n' "$PLIMSOLL_TOKEN" > /run/plimsoll/token)
    unset PLIMSOLL_TOKEN
fi
exec plimsoll "$@"
