"""What a worker says of itself whatever its server: the hello's common keys."""
import os
import socket
import sys
import time

from . import __version__


def _namespace(kind):
    try:
        return os.stat("/proc/self/ns/" + kind).st_ino
    except OSError:
        return None


def place():
    """Whose pids are meant: containers count theirs alike."""
    return {"host": socket.gethostname(), "pid_namespace": _namespace("pid")}


def common(settings, memory):
    return {
        **place(),
        "v": 1,
        "token": settings.token,
        "pool": settings.pool,
        "index": settings.index,
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "cgroup_namespace": _namespace("cgroup"),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "agent": __version__,
        "started_at": time.time(),
        "memory_limit": memory.cgroup.limit(),
    }
