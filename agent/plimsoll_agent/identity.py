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


def common(settings, memory):
    return {
        "v": 1,
        "token": settings.token,
        "pool": settings.pool,
        "index": settings.index,
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "pid_namespace": _namespace("pid"),
        "cgroup_namespace": _namespace("cgroup"),
        "host": socket.gethostname(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "agent": __version__,
        "started_at": time.time(),
        "memory_limit": memory.cgroup.limit(),
    }
