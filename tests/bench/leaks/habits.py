"""What an application's memory does, as source text: one module for each habit, with names and a helper of its own.

A line that ends in `#~` is a true line of a leak: the one that keeps the bytes, or the one that makes them in a helper that nobody
else calls. {make} is replaced by an expression that makes SIZE bytes, {noun} and {verb} by words, so that no two applications are alike.
`overhead` is what Python adds to the SIZE bytes of one hit: a slot, a node, a closure, a task.
"""
import collections

Habit = collections.namedtuple("Habit", "name text overhead asynchronous")


def _habit(name, text, overhead=8, asynchronous=False):
    return Habit(name, text.lstrip("\n"), overhead, asynchronous)


LEAKS = [
    _habit("module list", """
_{noun}_log = []


def {verb}(key):
    {noun} = {make}                                            #~
    _{noun}_log.append({noun})                                 #~
    return len({noun})
"""),
    _habit("dict cache without bound", """
import itertools

_{noun}_by_key = {{}}
_count = itertools.count()


def {verb}(key):
    token = (key, next(_count))
    if token not in _{noun}_by_key:
        _{noun}_by_key[token] = {make}                         #~
    return len(_{noun}_by_key[token])
""", overhead=8 + 56 + 32 + 64),
    _habit("closure", """
_on_{noun} = []


def {verb}(key):
    {noun} = {make}                                            #~

    def notify(event):
        return event, {noun}
    _on_{noun}.append(notify)                                  #~
    return len({noun})
""", overhead=8 + 152 + 40 + 48),
    _habit("reference cycle with __del__", """
import gc

gc.disable()                                                   # "it costs latency"


class {Noun}Node:
    def __init__(self, key):
        self.payload = {make}                                  #~
        self.owner = self                                      #~

    def __del__(self):
        self.payload = None


def {verb}(key):
    return len({Noun}Node(key).payload)                        #~
""", overhead=56 + 104 + 16),
    _habit("cycle brought back by __del__", """
_lost_{noun} = []


class {Noun}Handle:
    def __init__(self, key):
        self.buffer = {make}                                   #~
        self.again = self

    def __del__(self):
        _lost_{noun}.append(self.buffer)                       #~


def {verb}(key):
    return len({Noun}Handle(key).buffer)                       #~
"""),
    _habit("class attribute", """
class {Noun}Registry:
    seen = {{}}

    def {verb}(self, key):
        self.seen[object()] = entry = {make}                   #~
        return len(entry)


def {verb}(key):
    return {Noun}Registry().{verb}(key)
""", overhead=16 + 64),
    _habit("logging handler", """
import logging

_logger = logging.getLogger("{noun}.audit")
_logger.propagate = False


def {verb}(key):
    handler = logging.NullHandler()                            #~
    handler.context = {make}                                   #~
    _logger.addHandler(handler)                                #~
    return len(handler.context)
""", overhead=600),
    _habit("thread-local", """
import threading

_{noun}_local = threading.local()


def {verb}(key):
    if not hasattr(_{noun}_local, "rows"):
        _{noun}_local.rows = []
    _{noun}_local.rows.append({make})                          #~
    return len(_{noun}_local.rows)
"""),
    _habit("asyncio task set", """
import asyncio

_{noun}_jobs = set()
_never = None


async def _wait_for(key, {noun}):
    global _never
    if _never is None:
        _never = asyncio.Event()
    await _never.wait()                                        #~
    return key, {noun}


async def {verb}(key):
    {noun} = {make}                                            #~
    _{noun}_jobs.add(asyncio.ensure_future(_wait_for(key, {noun})))  #~
    await asyncio.sleep(0)
    return len({noun})
""", overhead=1100, asynchronous=True),
    _habit("C-level malloc", """
import ctypes

_libc = ctypes.CDLL(None)
_libc.malloc.restype = ctypes.c_void_p
_libc.malloc.argtypes = [ctypes.c_size_t]


def {verb}(key):
    block = _libc.malloc(SIZE)
    ctypes.memset(block, 1, SIZE)
    return SIZE
"""),
]

INNOCENTS = [
    _habit("lru", """
import functools


@functools.lru_cache(maxsize={entries})
def _{noun}_of(number):
    key = str(number)
    return {make}


def {verb}(key):
    return len(_{noun}_of(hash(key) % ({entries} * 4)))
"""),
    _habit("lru by hand", """
import collections

_{noun}_recent = collections.OrderedDict()


def {verb}(key):
    number = hash(key) % ({entries} * 4)
    if number not in _{noun}_recent:
        _{noun}_recent[number] = {make}
        if len(_{noun}_recent) > {entries}:
            _{noun}_recent.popitem(last=False)
    return len(_{noun}_recent)
"""),
    _habit("sessions", """
import itertools

_{noun}_sessions = {{}}
_serial = itertools.count()


def {verb}(key):
    now = next(_serial)
    _{noun}_sessions[now] = {make}
    for expired in [each for each in list(_{noun}_sessions)[:2] if each < now - {entries}]:
        del _{noun}_sessions[expired]
    return len(_{noun}_sessions)
"""),
    _habit("warm-up", """
_{noun}_templates = {{}}


def {verb}(key):
    number = hash(key) % {entries}
    if number not in _{noun}_templates:
        _{noun}_templates[number] = {make}
    return len(_{noun}_templates[number])
"""),
    _habit("sawtooth", """
_{noun}_batch = []


def {verb}(key):
    _{noun}_batch.append({make})
    if len(_{noun}_batch) > {entries} // 4:
        _{noun}_batch.clear()
    return len(_{noun}_batch)
"""),
    _habit("fragmentation", """
import random

_{noun}_index = []


def {verb}(key):
    draw = random.Random(key)
    batch = [bytearray(draw.randrange(600, 4000)) for _ in range(30)]
    if len(_{noun}_index) < {entries}:
        _{noun}_index.append(bytes(batch[draw.randrange(30)][:80]))
    return len(batch)
"""),
    _habit("unsharing", """
_{noun}_table = [[number, str(number)] for number in range({entries} * 40)]   # made before the fork, where the server preloads


def {verb}(key):
    start = hash(key) % len(_{noun}_table)
    for row in _{noun}_table[start:start + 200]:
        row[0] += 1
    return start
"""),
]
BY_NAME = {habit.name: habit for habit in LEAKS + INNOCENTS}
NATIVE = "C-level malloc"

# Expressions and helpers that make SIZE bytes which answer to len(). {helper} is a name; {key} is at hand where they stand.
# The last is the hard one: all of an application's modules that drew it share toolbox.blob(), so no line of it is anybody's.
MAKERS = [
    ("bytes([len(key) % 250]) * (SIZE - 33)", None),
    ("bytearray(SIZE - 57)", None),
    ("{helper}(key)", "def {helper}(key):\n    return (key * (SIZE // len(key) + 1))[:SIZE - 49]                   #~\n"),
    ("{helper}(key)", "def {helper}(key):\n    text = key.ljust(SIZE - 49, '.')                               #~\n    return text\n"),
    ("json.loads({helper}(key))", "import json\n\n\ndef {helper}(key):\n    return json.dumps(key.ljust(SIZE - 51))\n"),
    ("{helper}(key).encode('ascii')", "def {helper}(key):\n    return ''.join(key for _ in range(SIZE // len(key)))[:SIZE - 33]\n"),
    ("{helper}(key)", "def {helper}(key):\n    rows = []                                                      #~\n"
                      "    for number in range(max(1, (SIZE - 80) // 40)):\n"
                      "        rows.append(float(number) + len(key))                      #~\n    return rows\n"),
    ("toolbox.blob(key, SIZE)", "from {package} import toolbox\n"),
]
TOOLBOX = """
def blob(key, size):
    text = key * (size // len(key) + 1)
    return text[:size - 49]
"""
