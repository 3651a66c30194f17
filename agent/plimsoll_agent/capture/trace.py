"""A window of tracemalloc: which lines allocated what was still there at its end.

Tracing makes Python code 8 to 90 times slower, so a window has an end whatever happens: a time, an amount of tracemalloc's own memory,
and a proxy that went away all close it. Analysing while tracing is on costs 20 to 190 times as much as afterwards: the raw traces are
taken, tracing is stopped, and only then they are added up.

A worker that serves on must not feel the end of its window. What C code does in one piece, with the interpreter to itself, is bounded:

    the traces are copied     0.3 us each     a window that has some 250,000 of them is closed then, and its traces wait for their taker
    a full collection         0.14 us an object of the whole heap: left out of a large one (the lines say so: lines.reconcile)
    the snapshot is pickled   0.25 us a trace, and after each 64 KiB the others have a turn
"""
import collections
import gc
import os
import pickle
import sys
import time
import tracemalloc

import _tracemalloc

from .. import native, quiet
from . import cycles, functions, holders, lines

FRAMES, SECONDS, OWN_MEMORY = 25, 300.0, 12 << 20      # defaults of trace_start; a trace takes tracemalloc 49 to 64 bytes
MOST_FRAMES = 100                                       # of a stack, as the proxy may want them
LONE = 30.0                                             # seconds without a proxy
MOST_TRACES = 500000                                    # in the snapshot: the largest are kept
MOST_BLOCKS = 1000000                                   # of a heap that is collected while its worker serves: at most some 500,000 objects
# The table of a small dict is no object of its own, and CPython keeps freed ones for the next dict, whoever makes that: so the trace of a
# table names the line that had it first, and is wrong as soon as another one keeps it.
TABLE = sys.getsizeof({"": None}) - sys.getsizeof({})


class Refused(Exception):
    pass


# traces and limit: as tracemalloc has them; seconds: the window's length, traced for a `share` of it (less than 1: it held too much);
# held: which of them were added (holders.py); cpu: of the window; collected: cycles that nothing reaches are not among the traces.
Taken = collections.namedtuple("Taken", "traces limit seconds held cpu collected share")


class Window:
    def __init__(self, seconds, own_memory, lengths, headroom):
        self.lengths = lengths              # of the application's containers
        self.headroom = headroom            # bytes that the worker may grow by
        self.began, self.cpu = native.monotonic(), time.process_time()
        self.ends = self.began + seconds
        self.own_memory = own_memory
        self.alone_since = None
        self.taken = None                   # at an early end


_window = None
_lock = native.allocate_lock()              # a command's thread opens and closes a window, the agent's closes it too


def on():
    return _window is not None and (_window.taken is not None or tracemalloc.is_tracing())


def start(frames=FRAMES, seconds=SECONDS, own_memory=OWN_MEMORY, wanted=lambda: True, headroom=None):
    """The window, or None where it is no longer wanted once the lengths are noted (with a busy interpreter that may take seconds). A window
    that is open already is closed: who asks for one counts its requests from now on. Raises Refused."""
    global _window
    with _lock:
        if tracemalloc.is_tracing() and (_window is None or _window.taken is not None):
            raise Refused("the application traces by itself")
        _close()
        lengths = quiet.guarded(holders.Lengths)()
        if not wanted():
            return None
        tracemalloc.start(max(1, min(frames, MOST_FRAMES)))
        _window = Window(seconds, own_memory, lengths, headroom)
        return _window


def cancel(window):
    """Nobody knows of this window, so nobody will close it. Another one that was opened since goes on."""
    with _lock:
        if _window is window:
            _close()


def forget():
    """In a child that was forked within a window: it inherits the tracing, and no thread that would end it. The lock may be held by a
    thread that is not here."""
    global _lock
    _lock = native.allocate_lock()
    _close()


def _close():
    global _window
    if _window is not None:
        window, _window = _window, None
        if window.taken is None:            # else it was stopped then, and what is traced now is the application's own
            tracemalloc.stop()


def watch(connected):
    """The agent's thread looks once a sample, and at each dial. Where a command has the window in hand it looks again next time."""
    if _window is None or not _lock.acquire(False):
        return
    try:
        window, now = _window, native.monotonic()
        if window is None:
            return
        window.alone_since = None if connected else window.alone_since or now
        if now > window.ends or window.alone_since and now - window.alone_since > LONE:
            _close()
        elif window.taken is None and tracemalloc.get_tracemalloc_memory() > window.own_memory:
            window.taken = _take(window, serves=True)
    finally:
        _lock.release()


def stop(serves=False, collect=gc.collect):
    """What was Taken; None where no window is open. serves: requests are waiting. collect: makes a full collection, should one be due."""
    with _lock:
        window = _window
        if not on():
            return None
        try:
            if window.taken is None:
                return _take(window, serves, collect)
            seconds = native.monotonic() - window.began
            return window.taken._replace(seconds=seconds, share=window.taken.seconds / seconds)
        finally:
            _close()


def _take(window, serves, collect=gc.collect):
    seconds, collected = native.monotonic() - window.began, True
    try:
        if cycles.automatic():              # else nobody collects them, and cycles are what leaks
            collected = not serves or sys.getallocatedblocks() < MOST_BLOCKS
            collect() if collected else gc.collect(1)
        traces = _tracemalloc._get_traces()
        limit = tracemalloc.get_traceback_limit()
        held = quiet.guarded(holders.survivors)(window.lengths, window.headroom) or {}
    finally:
        tracemalloc.stop()
        window.lengths = None
    return Taken(traces, limit, seconds, held, time.process_time() - window.cpu, collected, 1.0)


def analyse(traces, top, held=None, limit=None):
    """The application's lines by surviving bytes, and whole stacks. A trace is (domain, size, frames, ...), frames innermost first; equal
    tracebacks are one tuple, so they are added up by identity before anything else is looked at."""
    stacks, held = {}, held or {}
    for trace in traces:
        frames = trace[2]
        entry = stacks.get(id(frames))
        if entry is None:
            stacks[id(frames)] = [frames, trace[1], 1, trace[1] == TABLE]
        else:
            entry[1] += trace[1]
            entry[2] += 1
            entry[3] = entry[3] and trace[1] == TABLE
    # Tables alone, and none of a container that was seen to grow: their dicts, and whoever keeps them, are another line's.
    stacks = [entry[:3] for entry in stacks.values() if not lines.is_agents(entry[0]) and not (entry[3] and entry[0] not in held)]
    return lines.fold(stacks, top, held, limit), stacks


def folded(stacks, names=None):
    """A line a stack, outermost frame first, as flame graph tools read it: `orders/views.py:41 remember;...` and bytes."""
    names, frames, sums = names or functions.Names(), {}, {}
    for stack, size, _ in stacks:
        for place in stack:
            if place not in frames:
                frames[place] = _frame(*place, names.of(*place))
        key = ";".join(frames[place] for place in reversed(stack))
        sums[key] = sums.get(key, 0) + size
    return "".join("%s %d\n" % item for item in sorted(sums.items(), key=lambda item: -item[1]))


def _frame(file, line, function):
    text = "%s:%d" % (functions.short_path(file), line) + (" " + function if function else "")
    return "".join(each if each.isprintable() and each != ";" else "?" for each in text)       # what would end the frame, or its line


class Pieces:
    """A file for the pickler, which writes a frame of 64 KiB at a time: between them the application's threads get the interpreter."""

    def __init__(self):
        self._written = []

    def write(self, data):
        self._written.append(bytes(data))
        native.sleep(0)

    def joined(self):
        return b"".join(self._written)


def snapshot(traces, limit):
    """What tracemalloc.Snapshot.load reads."""
    if len(traces) > MOST_TRACES:
        traces = sorted(traces, key=lambda trace: -trace[1])[:MOST_TRACES]
    target = Pieces()
    pickle.dump(tracemalloc.Snapshot(tuple(traces), limit), target, pickle.HIGHEST_PROTOCOL)
    return target.joined()
