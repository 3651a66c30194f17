"""Waiting for a condition with a deadline: the only way these tests let time pass."""
import os
import time

from .binary import sanitized

# A factor on every deadline: sanitizers and busy machines need more.
PATIENCE = float(os.environ.get("PLIMSOLL_PATIENCE", "4" if sanitized() else "1"))


def until(condition, bound, claim, pause=0.02):
    """The first true value of condition(); AssertionError that says what did not come true, and the last value seen."""
    deadline = time.monotonic() + bound * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("not within %g s: %s (last seen: %r)" % (bound * PATIENCE, claim, value))
        time.sleep(pause)
