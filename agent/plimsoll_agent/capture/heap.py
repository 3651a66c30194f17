"""All objects that the collector knows: but for uWSGI's own, which must not get a reference more.

uWSGI keeps a tuple of (environ, start_response) for each core and puts the environ of the next request into it by PyTuple_SetItem, which
fails where anybody else holds the tuple: a list of all objects does, and the request is answered with a 500. So these tuples are taken
out of the list before another thread has a turn. A thread that waits asks for its turn after an interval that can be set, and those that
wait already do so by the interval that they have read: once that is over we are alone for a while. (C code alone, which is never
interrupted, cannot do it: iterators that sort objects by a condition keep some of them, and are found among the objects themselves.)
"""
import gc
import sys
import types

from .. import native

ALONE = 0.5                                 # seconds that others wait, at most: some 3 million objects
AT_ONCE, AT_ONCE_IN_UWSGI = 2500000, 600000 # blocks of a heap whose objects are listed within 50 ms
MOST_IN_UWSGI = 2500000                     # blocks: a fifth of a second, and well before the others have a turn


def objects(**generation):
    """As gc.get_objects()."""
    if "uwsgi" not in sys.modules:
        return gc.get_objects(**generation)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(ALONE)
    try:
        native.sleep(2 * interval)
        found = gc.get_objects(**generation)
        found[:] = [thing for thing in found if type(thing) is not tuple or len(thing) != 2 or not _is_cores(thing)]
        return found
    finally:
        sys.setswitchinterval(interval)


def is_listed_at_once():
    """Whether a worker that serves would not feel it."""
    return sys.getallocatedblocks() < (AT_ONCE_IN_UWSGI if "uwsgi" in sys.modules else AT_ONCE)


def is_small(most):
    """Whether it may be listed at all while its worker serves: it has at most so many blocks."""
    return sys.getallocatedblocks() < (min(most, MOST_IN_UWSGI) if "uwsgi" in sys.modules else most)


def _is_cores(pair):
    """By what it refers to, as an item that is not there yet must not be asked for."""
    for each in gc.get_referents(pair):
        if type(each) is types.BuiltinFunctionType and each.__name__ == "uwsgi_spit":
            return True
    return False
