"""What a worker has open or running, by kind: descriptors, threads, child processes, asyncio tasks. They kill fleets as memory does, and a leak of
objects is often one of these: a socket that was never closed, a task that nobody awaits. Kinds and counts, no names of files: those
can tell of persons. Threads and tasks go by the code that they run."""
import os
import stat
import sys

from . import tasks as pending

MOST = 4096                                 # descriptors and tasks that are looked at
TOP = 20


def everything():
    return {"descriptors": descriptors(), "threads": threads(), "children": children(), "tasks": tasks()}


def descriptors():
    """{kind: count}; sockets of TCP with their state, as CLOSE_WAIT is the mark of one that was forgotten."""
    kinds, sockets = {}, _sockets()
    for name in os.listdir("/proc/self/fd")[:MOST]:
        try:
            status = os.stat("/proc/self/fd/" + name)
        except OSError:
            continue                        # closed meanwhile
        kind = _kind(status)
        if kind == "socket":
            kind = "socket, " + sockets.get(status.st_ino, "other")
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def _kind(status):
    mode = status.st_mode
    for kind, is_one in (("file", stat.S_ISREG), ("socket", stat.S_ISSOCK), ("pipe", stat.S_ISFIFO), ("directory", stat.S_ISDIR),
                         ("device", stat.S_ISCHR)):
        if is_one(mode):
            return kind
    return "other"                          # epoll, eventfd and the like


STATES = {"01": "established", "02": "syn-sent", "03": "syn-received", "04": "fin-wait", "05": "fin-wait", "06": "time-wait", "07": "closed",
          "08": "close-wait", "09": "last-ack", "0A": "listening", "0B": "closing"}


def _sockets():
    """inode -> what it is"""
    found = {}
    for table, column in (("tcp", 9), ("tcp6", 9), ("udp", 9), ("udp6", 9), ("unix", 6)):
        try:
            with open("/proc/self/net/" + table) as rows:
                next(rows)
                for row, _ in zip(rows, range(20000)):
                    fields = row.split()
                    state = " " + STATES.get(fields[3], fields[3]) if table.startswith("tcp") else ""
                    found[int(fields[column])] = table.rstrip("6") + state
        except (OSError, ValueError, IndexError, StopIteration):
            pass
    return found


def threads():
    """{where a thread stands, its outermost function of the application's: count}"""
    counts = {}
    for frame in list(sys._current_frames().values()):
        while frame.f_back is not None and frame.f_back.f_code.co_name not in ("run", "_bootstrap_inner", "_bootstrap"):
            frame = frame.f_back
        _add(counts, "%s (%s:%d)" % (frame.f_code.co_name, frame.f_code.co_filename, frame.f_code.co_firstlineno))
    return _first(counts)


def children():
    """{program: count}; one that has ended and that nobody waited for is a zombie."""
    counts = {}
    for thread in os.listdir("/proc/self/task")[:MOST]:
        try:
            with open("/proc/self/task/%s/children" % thread) as file:
                pids = file.read().split()
        except OSError:
            continue
        for pid in pids[:MOST]:
            try:
                with open("/proc/%s/stat" % pid) as file:
                    head, _, rest = file.read().rpartition(")")
            except OSError:
                continue                    # gone meanwhile
            _add(counts, "zombie (ended, not waited for)" if rest.split()[0] == "Z" else head.partition("(")[2])
    return _first(counts)


def tasks():
    """{coroutine: count} of asyncio tasks that are not done"""
    counts = {}
    for task in pending.pending()[:MOST]:
        _add(counts, getattr(task.get_coro(), "__qualname__", "?"))
    return _first(counts)


def _add(counts, key):
    counts[key] = counts.get(key, 0) + 1


def _first(counts):
    return dict(sorted(counts.items(), key=lambda item: -item[1])[:TOP])
