"""The worker's own memory, in bytes. What cannot be read is None, never zero: the proxy takes None for unknown.

A reading must not be felt: statm costs microseconds, but counting blocks walks all arenas and counting descriptors lists a folder.
Those two are read only as often as keeps them below a thousandth of the time.
"""
import os
import sys

from . import native
from .capture import malloc

try:
    import resource
except ImportError:                         # left out of some builds
    resource = None

PAGE = os.sysconf("SC_PAGE_SIZE")
NO_LIMIT_V1 = 1 << 60                       # v1 says "no limit" with the greatest multiple of a page


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except (OSError, ValueError):
        return None


def number(text):
    try:
        return int(text)
    except (TypeError, ValueError):
        return None                         # "max", or no such file


def statm():
    fields = (read("/proc/self/statm") or "").split()
    if len(fields) < 3:
        return {"rss": None, "anon": None}
    resident, shared = int(fields[1]) * PAGE, int(fields[2]) * PAGE
    return {"rss": resident, "anon": resident - shared}


def peak():
    """The most that was resident since this was asked before. None where the kernel does not let us begin anew."""
    highest = None
    for line in (read("/proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            highest = number(line.split()[1])
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        return None
    return highest * 1024 if highest is not None else None


def thread_count():
    for line in (read("/proc/self/status") or "").splitlines():
        if line.startswith("Threads:"):
            return number(line[8:])
    return None


def fds_limit():
    """The soft limit of open files. Asked each time: applications raise it as they start."""
    if resource is None:
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft != resource.RLIM_INFINITY else None


def child_count():
    """Of all threads, as each has its own list; zombies count, as nobody waited for them. None on kernels without the lists."""
    count = 0
    for thread in os.listdir("/proc/self/task"):
        text = read("/proc/self/task/%s/children" % thread)
        if text is None:
            return None
        count += len(text.split())
    return count


def malloc_use():
    """In use: bytes that C code and Python's larger objects hold in glibc's heap, and Arrow in its own; Python's small objects are in
    allocated_blocks. Free: memory that glibc keeps for the next of them. None where another allocator serves: nobody knows there."""
    info = malloc.info()
    if info is None:
        return None, None
    return info["uordblks"] + info["hblkhd"] + arrow_in_use(), malloc.resident_free(info)


def arrow_in_use():
    """PyArrow brings an allocator of its own."""
    arrow = sys.modules.get("pyarrow")
    try:
        return int(arrow.total_allocated_bytes()) if arrow is not None else 0
    except Exception:                       # half imported, or of a version without it
        return 0


def flat_key(text, key):
    for line in (text or "").splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return number(value)
    return None


class Cgroup:
    """The memory cgroup of this process, in v1's hierarchy or v2's. Its place is looked up once: workers don't move."""
    V2 = ("memory.current", "memory.max", "inactive_file")
    V1 = ("memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file")

    def __init__(self, proc="/proc/self", root="/sys/fs/cgroup"):
        self.folders, self.names = self._find(read(os.path.join(proc, "cgroup")) or "", root)

    def _find(self, text, root):
        """The cgroup's folder and its ancestors', nearest first, and the names of the files in them."""
        paths = {}
        for line in text.splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                paths[controller] = path
        if "memory" in paths:
            folders, names = _chain(os.path.join(root, "memory"), paths["memory"]), self.V1
        else:
            folders, names = _chain(root, paths.get("", "/")), self.V2
        return [folder for folder in folders if os.path.exists(os.path.join(folder, names[0]))], names

    def read(self):
        """usage and working set of the nearest cgroup; the tightest limit on the way up"""
        usage_file, limit_file, inactive_key = self.names
        if not self.folders:
            return {"cgroup_usage": None, "cgroup_working_set": None, "cgroup_limit": None}
        usage = number(read(os.path.join(self.folders[0], usage_file)))
        inactive = flat_key(read(os.path.join(self.folders[0], "memory.stat")), inactive_key)
        working_set = max(0, usage - inactive) if usage is not None and inactive is not None else None
        return {"cgroup_usage": usage, "cgroup_working_set": working_set, "cgroup_limit": self.limit()}

    def limit(self):
        """At memory.high the kernel kills nobody, but holds everybody up: as little is served. 0 is written there for a moment only."""
        limits = [number(read(os.path.join(folder, self.names[1]))) for folder in self.folders]
        if self.names is self.V2:
            limits += [number(read(os.path.join(folder, "memory.high"))) or None for folder in self.folders]
        limits = [limit for limit in limits if limit is not None and limit < NO_LIMIT_V1]
        return min(limits) if limits else None


def _chain(root, path):
    parts = [part for part in path.split("/") if part and part != ".."]
    return [os.path.join(root, *parts[:n]) for n in range(len(parts), -1, -1)]


class Seldom:
    """A reading whose cost grows with the process: None while it is not due."""
    SHARE = 0.001                           # of the time, that it takes at most

    def __init__(self, measure, share=SHARE):
        self._measure = measure
        self._share = share
        self._due = 0.0

    def read(self, at_once=False):
        began = native.monotonic()
        if began < self._due and not at_once:
            return None
        try:
            value = self._measure()
        except (OSError, AttributeError):
            value = None
        ended = native.monotonic()
        self._due = ended + (ended - began) / self._share - 0.1     # a wake comes a little early at times
        return value


class Memory:
    def __init__(self):
        self.cgroup = Cgroup()
        self.peaks = False                  # the proxy cannot read them by itself
        self._blocks = Seldom(sys.getallocatedblocks) if hasattr(sys, "getallocatedblocks") else Seldom(lambda: None)
        self._malloc = Seldom(malloc_use, 2 * Seldom.SHARE)      # tells holes from leaks: of a heap full of them it takes milliseconds
        self._children = Seldom(child_count)
        self._fds = Seldom(lambda: len(os.listdir("/proc/self/fd")) - 1)
        self._grown_to = 0                  # of anon, when what it is made of was asked last for that reason

    def _grew(self, anon):
        """A tenth beyond what was ever seen: then it must be known what that is made of before a leak is suspected, whatever it costs. On a
        machine with slow memory a heap full of holes takes 30 ms, which its share of the time allows every quarter of a minute. A process
        grows by a tenth 24 times from 20 MB to 200 MB, and never again by what swings below."""
        if anon is None or anon < 1.1 * self._grown_to:
            return False
        self._grown_to = anon
        return True

    def sample(self):
        values = statm()
        grew = self._grew(values["anon"])
        # At the same moment: the proxy takes the one from the other.
        values["malloc_in_use"], values["malloc_free"] = self._malloc.read(grew) or (None, None)
        values.update(self.cgroup.read())
        values["peak"] = peak() if self.peaks else None
        values["allocated_blocks"] = self._blocks.read(grew)
        values["threads"] = thread_count()
        values["fds"] = self._fds.read()
        values["fds_limit"] = fds_limit()
        values["children"] = self._children.read()
        return values


def numbers():
    """For captures: everything, at once."""
    return Memory().sample()
