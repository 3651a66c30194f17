"""What only the collector could free: objects in cycles that nothing reaches, by type; and what even it had to leave.

A worker whose memory goes down with this collection has no leak but a collector that comes too seldom. Cycles whose classes have
finalizers are named, as a `__del__` that brings its object back is how they survive for ever.

To keep what is found (DEBUG_SAVEALL) is the collector's only way to show it. Afterwards the cycles are cut where Python code can cut
them: a second collection would free all, but takes as long as the first, and this worker ends soon. Finalizers have run by then.
"""
import gc
import types

from . import bare, census

TOP = 20


def automatic():
    """Whether the interpreter collects by itself: a threshold of 0 stops it as well as gc.disable() does, and gc.isenabled() does not tell."""
    return gc.isenabled() and gc.get_threshold()[0] > 0


def collect(wholly=False):
    """A full collection. {"unreachable": objects found, "types": {name: count}, "finalizers": {name: count}, "garbage": {name: count}}
    wholly: what cannot be cut (frames of a traceback, tasks) is freed too, by a second one."""
    flags, left = gc.get_debug(), len(gc.garbage)
    gc.set_debug(flags & ~gc.DEBUG_STATS | gc.DEBUG_SAVEALL)
    try:
        found = gc.collect()
    finally:
        gc.set_debug(flags)
    unreachable = gc.garbage[left:]
    del gc.garbage[left:]
    counts, finalizers = {}, {}
    for thing in unreachable:
        kind = type(thing)
        counts[kind] = counts.get(kind, 0) + 1
    for kind, count in counts.items():
        if not census.is_library(kind) and bare.defined(kind, "__del__") is not None:
            finalizers[kind] = count
    garbage = {}
    for thing in gc.garbage[:100000]:
        garbage[type(thing)] = garbage.get(type(thing), 0) + 1
    for thing in unreachable:
        _cut(thing)
    if wholly and unreachable:
        thing = None
        del unreachable[:]
        gc.collect()
    return {"unreachable": found, "types": _named(counts), "finalizers": _named(finalizers), "garbage": _named(garbage)}


def _cut(thing):
    """What the collector does itself otherwise, for Python's containers and for instances of the application's classes."""
    kind = type(thing)
    try:
        if kind in (dict, list, set):
            thing.clear()
        elif kind is types.CellType:
            del thing.cell_contents
        elif census.is_library(kind) or issubclass(kind, type):
            return
        else:
            (bare.attributes(thing) or {}).clear()
    except Exception:                       # an empty cell
        pass


def _named(counts):
    return {census.name_of(kind): count for kind, count in sorted(counts.items(), key=lambda item: -item[1])[:TOP]}
