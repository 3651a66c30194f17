"""The census at boot, which later ones are held against. Taken once: by the agent's thread when the worker is ready, or, with a preloaded
application, in the arbiter before it forks: a census touches every object, which would make a shared heap unshared. Where the
application was loaded before a fork of which we heard too late, it is left out."""
from . import census as censuses, heap

LEAST = 2048                                # bytes of a type, below which it counts as nothing
BUDGET = 1.0                                # seconds
MOST_BLOCKS = 5000000                       # to list all objects of a larger heap would stop a serving worker for 100 ms

shared = False                              # frozen objects are another process's too: not to be touched
why_none = None                             # no census at boot: it is part of the evidence
_census = None
_looked = False


def remember():
    """In an arbiter, or in a test: nobody waits."""
    global _census
    _census = censuses.take(BUDGET, frozen=True)[0].prune(LEAST)


def remember_once():
    """In a worker that serves already."""
    global _census, _looked
    if _looked:
        return
    _looked = True
    if _census is None and heap.is_small(MOST_BLOCKS):
        _census = censuses.take(BUDGET, polite=True, frozen=not shared)[0].prune(LEAST)


def leave_out(why=None):
    """Where it would say nothing, of a heap that is about to be looked at anyway; or cost too much, which `why` says."""
    global _looked, why_none
    _looked, why_none = True, why


def census():
    return _census
