"""The census at boot, which later ones are held against. Taken once: by the agent's thread when the worker is ready, or, with a preloaded
application, in the arbiter before it forks: a census touches every object, which would make a shared heap unshared."""
import sys

from . import census as censuses

BUDGET = 2.0                                # seconds
MOST_BLOCKS = 20000000                      # a heap so large is not walked for the sake of a possible capture

_census = None


def remember():
    global _census
    if sys.getallocatedblocks() < MOST_BLOCKS:
        _census, objects, containers = censuses.take(BUDGET, polite=True)
        del objects, containers


def remember_once():
    if _census is None:
        remember()


def census():
    return _census
