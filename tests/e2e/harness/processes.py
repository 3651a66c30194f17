"""Processes as /proc shows them. A test's processes are known by a variable in their environment, which they inherit from
the proxy that the test started: so none can hide, however it was forked."""
import os
import signal
from pathlib import Path

MARK = "PLIMSOLL_E2E"


def marked(mark):
    """pid -> command line of every living process that carries the mark; zombies have no environment and do not count."""
    found = {}
    wanted = ("%s=%s" % (MARK, mark)).encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            continue                                           # it ended while we looked
    return found


def parent_of(pid):
    try:
        return int(Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def user_of(pid):
    for line in open("/proc/%d/status" % pid):
        if line.startswith("Uid:"):
            return int(line.split()[2])


def alive(pid):
    try:
        return Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def anonymous_memory(pid):
    pages = Path("/proc/%d/statm" % pid).read_text().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")


def kill_marked(mark):
    """After a failure: whatever the test left behind, one by one."""
    for pid in marked(mark):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
