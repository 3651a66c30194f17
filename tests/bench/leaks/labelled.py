"""A WSGI application whose memory does what BEHAVIOUR says, by BYTES a request, from SEED: the truth that the bench knows.

Routes are /r/N/<id>; those in LEAKY (comma-separated, default 3) misbehave, the others do not.
"""
import collections
import ctypes
import functools
import itertools
import logging
import os
import random
import threading

BEHAVIOUR = os.environ.get("BEHAVIOUR", "steady")
BYTES = int(os.environ.get("BYTES", "4096"))
LEAKY = set(os.environ.get("LEAKY", "3").split(","))
DRAW = random.Random(int(os.environ.get("SEED", "1")))
COUNT = itertools.count()

KEPT, CACHE, HANDLERS, LOCAL = [], {}, [], threading.local()


def block(size=None):
    return os.urandom(16) + b"x" * max(0, (size or BYTES) - 49)


class Order:
    seen = []


class Node:
    def __init__(self, data):
        self.data, self.me = data, self

    def __del__(self):
        KEPT.append(self.data)                                 # brought back to life by its own finalizer


def module_list():
    KEPT.append(block())


def dict_cache():
    CACHE[DRAW.random()] = block()


def closure():
    data = block()
    HANDLERS.append(lambda: data)


def class_attribute():
    Order.seen.append(block())


def cycle_with_del():
    Node(block())


def logging_handler():
    handler = logging.NullHandler()
    handler.context = block()
    logging.getLogger("app").addHandler(handler)


def thread_local():
    LOCAL.__dict__.setdefault("rows", []).append(block())


def native():
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    ctypes.memset(libc.malloc(ctypes.c_size_t(BYTES)), 1, BYTES)


@functools.lru_cache(maxsize=1500)
def looked_up(key):
    return block()


def lru():
    looked_up(DRAW.randrange(6000))


SESSIONS = collections.OrderedDict()


def sessions():
    SESSIONS[DRAW.random()] = block()
    while len(SESSIONS) > 1200:
        SESSIONS.popitem(last=False)


def warm_up():
    if len(KEPT) < 1000:
        KEPT.append(block())


def sawtooth():
    KEPT.append(block())
    if len(KEPT) > 400:
        KEPT.clear()


def fragmentation():
    """Ever larger batches of which one in a hundred stays, up to a bound: holes that nothing fits into."""
    batch = [bytearray(DRAW.randrange(600, 4000)) for _ in range(30)]
    if len(KEPT) < 500:
        KEPT.append(batch[DRAW.randrange(len(batch))][:64])


def steady():
    block()


LEAKS = ["module_list", "dict_cache", "closure", "class_attribute", "cycle_with_del", "logging_handler", "thread_local", "native"]
INNOCENTS = ["steady", "lru", "sessions", "warm_up", "sawtooth", "fragmentation"]


def app(environ, start_response):
    parts = environ["PATH_INFO"].split("/")
    if len(parts) > 2 and parts[1] == "r" and parts[2] in LEAKY:
        globals()[BEHAVIOUR]()
    body = b"ok\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
