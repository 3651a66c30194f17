"""Where every thread, asyncio task and greenlet stands, as text; and which requests are in flight there.

First the frames are noted as (file, line, function), which takes well under a millisecond, then they are written out: threads run
on meanwhile. Source lines are read without linecache, which would keep whole files in the application's memory for good. Of a
request only method and path are told, never a query, a header or a value.
"""
import os
import sys

import _thread

from .. import quiet
from . import bare, heap, tasks

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MOST_FRAMES = 200
MOST_TASKS = 2000
SMALL_HEAP = 1500000                        # blocks; above, old greenlets are not looked for: a pass over the heap is a pause


def ours(frame):
    return frame.f_code.co_filename.startswith(PACKAGE)


def collect():
    """The text, and the requests in flight as [{"method", "path", "where"}]."""
    noted = []
    for ident, frame in sys._current_frames().items():
        if ident != _thread.get_ident() and not ours(_outermost(frame)):
            noted.append(("Thread %d%s" % (ident, _thread_name(ident)), _walk(frame)))
    for look in (_tasks, _greenlets):       # whatever a library has made of them, the threads' stacks are told
        noted += quiet.guarded(look)() or []
    requests, text = [], []
    source = _source(place for _, (frames, _) in noted for place in frames)
    for title, (frames, request) in noted:
        if request is not None:
            title += ", " + request["method"] + " " + request["path"]
            requests.append(dict(request, where=title.partition(",")[0]))
        text.append(title + "\n" + "".join(_line(place, source) for place in frames))
    return "\n".join(text), requests


def _outermost(frame):
    while frame.f_back is not None:
        frame = frame.f_back
    return frame


def _walk(frame):
    """Frames from the innermost outwards."""
    frames, request = [], None
    while frame is not None and len(frames) < MOST_FRAMES:
        frames.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        request = _request(frame) or request
        frame = frame.f_back
    return frames, request


def _request(frame):
    """WSGI's environ or ASGI's scope, where a function has one of that name."""
    names = frame.f_code.co_varnames
    if "environ" not in names and "scope" not in names:
        return None
    values = frame.f_locals
    for name, method, path in (("environ", "REQUEST_METHOD", "PATH_INFO"), ("scope", "method", "path")):
        value = values.get(name)
        if type(value) is dict and path in value:
            return {"method": str(value.get(method, "")), "path": str(value[path])[:500]}
    return None


def _source(places):
    """(file, line) -> text, each file read once and as far as needed."""
    wanted = {}
    for file, line, _ in places:
        wanted.setdefault(file, set()).add(line)
    found = {}
    for file, lines in wanted.items():
        try:
            with open(file, encoding="utf-8", errors="replace") as text:
                for number, line in enumerate(text, 1):
                    if number in lines:
                        found[file, number] = line.strip()
                    if number >= max(lines):
                        break
        except OSError:
            pass                            # frozen, or generated
    return found


def _line(place, source):
    file, line, function = place
    text = source.get((file, line))
    return '  File "%s", line %d, in %s\n%s' % (file, line, function, "    %s\n" % text if text else "")


def _thread_name(ident):
    threading = sys.modules.get("threading")
    thread = getattr(threading, "_active", {}).get(ident)
    return " (%s)" % thread.name if thread is not None else ""


def _tasks():
    return [("Task %s" % task.get_name(), _walk_awaits(task.get_coro())) for task in tasks.pending()[:MOST_TASKS]]


AWAITS = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))


def _walk_awaits(awaitable):
    """A suspended task has no stack: its coroutine tells what it awaits, and so on inwards."""
    frames, request = [], None
    while awaitable is not None and len(frames) < MOST_FRAMES:
        names = next((names for names in AWAITS if bare.defined(type(awaitable), names[0]) is not None), None)
        if names is None:
            break
        frame = getattr(awaitable, names[0])
        if frame is None:                   # it has ended
            break
        frames.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        request = _request(frame) or request
        awaitable = getattr(awaitable, names[1])
    return frames[::-1], request


def _greenlets():
    """Only the collector knows them all. Those of requests in flight are young, and the young generations are small."""
    greenlet = sys.modules.get("greenlet")
    if greenlet is None:
        return []
    generations = (0, 1, 2) if sys.getallocatedblocks() < SMALL_HEAP else (0, 1)
    noted = []
    for generation in generations:
        for found in heap.objects(generation=generation):
            if issubclass(type(found), greenlet.greenlet) and found.gr_frame is not None and len(noted) < MOST_TASKS:
                noted.append(("Greenlet %#x" % id(found), _walk(found.gr_frame)))
    return noted
