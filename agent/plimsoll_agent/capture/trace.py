"""A window of tracemalloc: which lines allocated what was still there at its end.

Tracing makes Python code 8 to 40 times slower, so a window has an end whatever happens: a time, an amount of tracemalloc's own memory,
and a proxy that went away all close it. Analysing while tracing is on costs 20 to 190 times as much as afterwards: the raw traces are
taken, tracing is stopped, and only then they are added up.
"""
import gc
import io
import os
import pickle
import sys
import time
import tracemalloc

import _tracemalloc

from .. import native, quiet
from . import holders, lines

FRAMES, SECONDS, OWN_MEMORY = 10, 300.0, 256 << 20     # defaults of trace_start
LONE = 30.0                                             # seconds without a proxy
MOST_TRACES = 1500000                                   # in the snapshot: the largest are kept
# The table of a small dict is no object of its own, and CPython keeps freed ones for the next dict, whoever makes that: so the trace of a
# table names the line that had it first, and is wrong as soon as another one keeps it.
TABLE = sys.getsizeof({"": None}) - sys.getsizeof({})


class Window:
    def __init__(self, seconds, own_memory, lengths):
        self.lengths = lengths              # of the application's containers
        self.began, self.cpu = native.monotonic(), time.process_time()
        self.ends = self.began + seconds
        self.own_memory = own_memory
        self.alone_since = None


_window = None


def on():
    return _window is not None and tracemalloc.is_tracing()


def start(frames=FRAMES, seconds=SECONDS, own_memory=OWN_MEMORY):
    """Empty, or why not."""
    global _window
    if tracemalloc.is_tracing() and _window is None:
        return "the application traces by itself"
    if not on():
        lengths = quiet.guarded(holders.Lengths)()
        tracemalloc.start(max(1, min(frames, 50)))
        _window = Window(seconds, own_memory, lengths)
    return ""


def watch(connected):
    """The agent's thread looks once a sample, and at each dial."""
    global _window
    window = _window
    if window is None:
        return
    now = native.monotonic()
    window.alone_since = None if connected else window.alone_since or now
    if (now > window.ends or tracemalloc.get_tracemalloc_memory() > window.own_memory
            or window.alone_since and now - window.alone_since > LONE):
        _window = None
        tracemalloc.stop()


def stop():
    """The raw traces, their frames' limit, the window's length, which of them were added (holders.py), and the window's CPU; None
    where none is open."""
    global _window
    if not on():
        return None
    seconds, cpu = native.monotonic() - _window.began, _window.cpu
    if gc.isenabled():                      # else nobody collects them, and cycles are what leaks
        gc.collect()
    traces = _tracemalloc._get_traces()
    limit = tracemalloc.get_traceback_limit()
    try:
        held = quiet.guarded(holders.survivors)(_window.lengths) or {}
    finally:
        tracemalloc.stop()
        _window = None
    return traces, limit, seconds, held, time.process_time() - cpu


def analyse(traces, top, held=None):
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
    return lines.fold(stacks, top, held), stacks


def folded(stacks):
    """A line a stack, outermost frame first, as flame graph tools read it; the number is bytes."""
    sums = {}
    for frames, size, _ in stacks:
        key = ";".join("%s:%d" % (os.path.basename(file), line) for file, line in reversed(frames))
        sums[key] = sums.get(key, 0) + size
    return "".join("%s %d\n" % item for item in sorted(sums.items(), key=lambda item: -item[1]))


def snapshot(traces, limit):
    """What tracemalloc.Snapshot.load reads."""
    if len(traces) > MOST_TRACES:
        traces = sorted(traces, key=lambda trace: -trace[1])[:MOST_TRACES]
    target = io.BytesIO()
    pickle.dump(tracemalloc.Snapshot(tuple(traces), limit), target, pickle.HIGHEST_PROTOCOL)
    return target.getvalue()
