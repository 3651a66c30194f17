"""glibc's allocator: what it holds, and what it gives back when asked. All None on another C library."""
try:
    import ctypes
except ImportError:                         # some slim interpreters
    ctypes = None

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
else:
    _mallinfo2 = _malloc_trim = None


def info():
    if _mallinfo2 is None:
        return None
    values = _mallinfo2()
    return {name: getattr(values, name) for name in FIELDS}


def trim():
    """False where there is no such call. Lets the interpreter go on meanwhile, but holds each arena's lock for a while."""
    if _malloc_trim is None:
        return False
    _malloc_trim(0)
    return True
