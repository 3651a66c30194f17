"""glibc's allocator: what it holds, and what it gives back when asked. All None where it is not the one that serves: on another
C library, and where jemalloc or the like was put before it, by LD_PRELOAD or at link time. There its numbers stand still whatever
leaks, and a heap that grows would seem to be full of holes."""
import os

try:
    import ctypes
except ImportError:                         # some slim interpreters
    ctypes = None

PAGE = os.sysconf("SC_PAGE_SIZE")
FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


def _function(name, result, arguments):
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError):
        return None
    function.restype, function.argtypes = result, arguments
    return function


if ctypes is not None:
    class Mallinfo2(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]

    _mallinfo2 = _function("mallinfo2", Mallinfo2, [])              # glibc 2.33; mallinfo() before it overflows at 2 GiB
    _malloc_trim = _function("malloc_trim", ctypes.c_int, [ctypes.c_size_t])
    _malloc = _function("malloc", ctypes.c_void_p, [ctypes.c_size_t])
    _free = _function("free", None, [ctypes.c_void_p])
    _sbrk = _function("sbrk", ctypes.c_void_p, [ctypes.c_ssize_t])
    _mincore = _function("mincore", ctypes.c_int, [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p])
else:
    _mallinfo2 = _malloc_trim = _sbrk = _mincore = None


def _held():
    values = _mallinfo2()
    return values.uordblks + values.hblkhd


def _asks_glibc(size=64 << 10, attempts=5):
    """Whether what malloc gives shows in glibc's numbers; other threads may free meanwhile. Well below the size from which it maps each
    block: freeing one of those moves its thresholds, and the application's memory would be kept in another way than before."""
    for _ in range(attempts):
        before = _held()
        block = _malloc(size)
        if not block:
            return True
        after = _held()
        _free(block)
        if after - before >= size // 2:
            return True
    return False


_serves = None                              # asked once, at the first use: a program's allocator does not change


def serves():
    """Whether glibc's allocator is the one of this process, and tells its numbers."""
    global _serves
    if _serves is None:
        _serves = _mallinfo2 is not None and _asks_glibc()
    return _serves


def info():
    if not serves():
        return None
    values = _mallinfo2()
    return {name: getattr(values, name) for name in FIELDS}


def _untouched(top):
    """Of the free end of the heap, which grows by 132 KiB at a time, the bytes of pages that nobody has written to yet: they are no
    memory. None where it has moved meanwhile."""
    end = _sbrk(0)
    begin = -(-(end - top) // PAGE) * PAGE
    pages = max(0, end - begin) // PAGE
    there = ctypes.create_string_buffer(pages)
    if pages and _mincore(begin, pages * PAGE, there) != 0:
        return None
    return there.raw.count(b"\0") * PAGE if pages else 0


def resident_free(values):
    """How much of what glibc holds free is memory. None where nobody knows: after a trim the holes have no pages, but for those that
    were filled since."""
    if _trimmed or _sbrk is None or _mincore is None:
        return None
    untouched = _untouched(values["keepcost"])
    return values["fordblks"] - untouched if untouched is not None else None


_trimmed = False


def trim():
    """False where there is no such call, or it is not this allocator's. Lets the interpreter go on meanwhile, but holds each arena's lock for a while."""
    global _trimmed
    if _malloc_trim is None or not serves():
        return False
    _trimmed = True
    _malloc_trim(0)
    return True
