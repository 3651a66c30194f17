"""Whether what survived a window was added or only took the place of something else.

    lengths of the containers at its start --> window --> new members of each container against what its length has grown by

       leak: 40 new, 40 longer          full cache: 40 new, 0 longer          sawtooth: 90 new, 20 longer

Bytes that survive a window say nothing of what was let go of meanwhile: a full cache has as many survivors as a leak. The length of
what holds them does. tracemalloc tells of a single object whether, and where, it was allocated within the window; so the newest
members of each container are looked at, and what hangs on them. Nothing is kept but numbers: no object lives longer for it.

A cache of functools' that has a bound, and the memory for it, is no leak while it fills: its members count as if it were full.

Looked at are Python's containers and functools' caches as the collector lists them, and dicts of atoms, which it doesn't list, where a
module, a class or an instance has them. What hangs on none of them (a cycle, C code) gets no answer.
"""
import collections
import gc
import itertools
import sys
import time

import _tracemalloc

from .. import memory, native
from . import heap, records
from .records import CACHE

LEAST = 8                                   # members, below which a container is none that leaks
MOST_BLOCKS = 5000000                       # of the heap: to list all objects of a larger one is a pause of a tenth of a second
BUDGET = 0.7                                # seconds of CPU for each of the two looks
CHUNK = 2000                                # objects between two looks at the clock
LARGEST_PARENT = 5000                       # of a dict, in whose values dicts of atoms are looked for
MOST_NEW = 4000                             # members that are looked at
DEPTH, MOST_BELOW = 4, 40                   # what hangs on a new member
CHAIN = 5                                   # links, from which they are a list that grows
SAMPLED = 40                                # new members of a container whose contents are looked at
ADDED = 0.8                                 # growth by new members, from which they were added
FILL = 0.25                                 # of its own memory that a worker has left, where nobody knows how much it is
WORTH_BUDGET = 0.05                         # seconds for what an entry of a cache is worth
HEAP_TYPE = 1 << 9
SEQUENCES, MAPPINGS, SETS = (list, collections.deque), (dict, collections.OrderedDict, collections.defaultdict), (set,)
# Members that may be old before no more are looked at: lists have the newest last, a cache may have moved old ones there.
NEWEST = {list: 3, collections.deque: 3, dict: 16, collections.OrderedDict: 48, collections.defaultdict: 16, set: 200, CACHE: 72}
KINDS = frozenset(SEQUENCES + MAPPINGS + SETS)
where = _tracemalloc._get_object_traceback
MISPLACED, MOST_KINDS = sys.version_info[:2] == (3, 11), 5000
STOP_AT = (type, type(sys), type(sys._getframe()), type(gc.collect))


class Lengths:
    """Of containers at the start of a window. Dicts of atoms are found through who has them, which takes long while tracing is on: so
    they themselves are kept for the length of the window (all else by id alone)."""

    def __init__(self):
        self.of, self.atoms, self.whole = {}, [], False
        self.young = set()                  # frames of what those hold that were not there then, or as good as empty
        self.headroom = 0.0                 # bytes
        if not heap.is_small(MOST_BLOCKS):
            return
        ends, known, objects = time.thread_time() + BUDGET, set(), heap.objects()
        for start in range(0, len(objects), CHUNK):
            if time.thread_time() > ends:
                return
            for thing in objects[start:start + CHUNK]:
                kind = type(thing)
                if kind in KINDS or kind is CACHE:
                    self._note(thing)
                if kind is dict and len(thing) < LARGEST_PARENT:
                    below = list(thing.values())
                elif kind.__flags__ & HEAP_TYPE and not issubclass(kind, type):
                    below = gc.get_referents(thing)
                else:
                    continue
                for each in below:
                    if type(each) is dict and len(each) >= LEAST and not gc.is_tracked(each) and id(each) not in known:
                        known.add(id(each))
                        self.atoms.append(each)
                        self._note(each)
        self.whole = not gc.get_freeze_count()          # frozen ones are not listed

    def grown(self, thing, now):
        """By how many members; None where the look did not come to this one. What was made within the window had none before (and
        its id may have been another's)."""
        if where(thing) is not None:
            return now
        before = self.of.get(id(thing))
        return now - before if before is not None else now if self.whole else None

    def _note(self, thing):
        size = length(thing)
        if size >= LEAST:
            self.of[id(thing)] = size


def length(thing):
    return thing.cache_info().currsize if type(thing) is CACHE else len(thing)


def members(thing):
    """The newest first, where its kind keeps them in order."""
    kind = type(thing)
    if kind in SEQUENCES:
        return reversed(thing)
    if kind in MAPPINGS:
        return itertools.chain.from_iterable(reversed(thing.items()))
    if kind is CACHE:
        return reversed(gc.get_referents(thing))
    return iter(thing)


def survivors(before, headroom=None):
    """frames -> whether it was added (True) or took another one's place (False), of what was allocated in the window and is held by a
    container. While tracing is on, when every object that we make costs twenty times as much. headroom: bytes that the worker may grow
    by; None: not known."""
    found = {}
    if before is None or not before.of:
        return found
    before.headroom = FILL * (memory.statm()["anon"] or 0) if headroom is None else headroom
    try:
        _look_at_all(before, found)
        for frames in before.young:
            found.setdefault(frames, True)
    finally:
        _instances.clear()
    return found


def _look_at_all(before, found):
    ends, objects = time.thread_time() + BUDGET, heap.objects()
    _look_through(before.atoms, before, found)
    for start in range(0, len(objects), CHUNK):
        chunk = objects[start:start + CHUNK]
        _look_through(chunk, before, found)
        chunk.clear()
        if time.thread_time() > ends:
            break
    objects.clear()                         # it may hold our own frame, and that the list: all of the heap would live until the next collection


def _look_through(things, before, found):
    for thing in things:
        kind = type(thing)
        if kind not in KINDS and kind is not CACHE:
            continue
        try:
            now = length(thing)
            if now >= LEAST:
                _look(thing, now, before, found)
        except (RuntimeError, TypeError, AttributeError):
            pass                            # it changed while we looked


def _look(thing, now, before, found):
    kind = type(thing)
    new, sampled, unlucky = 0, [], NEWEST[kind]
    for member in itertools.islice(members(thing), MOST_NEW):
        if not _is_new(member):
            unlucky -= 1
            if unlucky < 0:
                break
            continue
        new += 1
        if len(sampled) < SAMPLED:
            sampled.append(member)
    if not new:
        return
    if kind is CACHE or kind in MAPPINGS:
        new = max(new // 2, 1)              # a key and a value; where only one of them is new it counts for half, which acquits nobody
    grown = before.grown(thing, now)
    if grown is None:
        return
    added = grown >= ADDED * min(new, MOST_NEW) and not (kind is CACHE and _has_room(thing, now, before.headroom))
    if where(thing) is not None or id(thing) not in before.of:     # a record's own list: who keeps the record knows whether it was added
        before.young.update(_below(sampled))
        return
    for frames in _below(sampled):
        found[frames] = found.get(frames, False) or added
    if not added:                           # one new member, but a chain hangs on it that may be longer by many
        for frames in [where(member) for member in sampled if is_chain(member)]:
            if found.get(frames) is False:
                del found[frames]


def _has_room(cache, now, headroom):
    """Whether what it will have when it is full fits into the worker's memory."""
    bound = cache.cache_info().maxsize
    if bound is None or now <= 0:
        return False
    worth = records.worth(cache, records.modules(), native.monotonic() + WORTH_BUDGET)
    return worth > 0 and (bound - now) * (worth / now) <= headroom


_instances = {}                             # type -> whether its objects are instances; for the length of a look: types can die


def _is_new(thing):
    """Of an instance CPython 3.11 looks for the wrong address: what hangs on it answers for it. Makes no object for what is old."""
    if where(thing) is not None:
        return True
    if not MISPLACED:
        return False
    kind = type(thing)
    instance = _instances.get(kind)
    if instance is None:
        if len(_instances) > MOST_KINDS:
            _instances.clear()
        instance = _instances[kind] = bool(kind.__flags__ & HEAP_TYPE) and not issubclass(kind, type)
    if not instance:
        return False
    for below in gc.get_referents(thing)[:8]:
        if where(below) is not None and not issubclass(type(below), STOP_AT):
            return True
    return False


def is_chain(member):
    """A link that hangs on a link that hangs on ... all made at one place: `head = Link(value, head)`."""
    frames, links = where(member), 1
    while frames is not None and links < CHAIN:
        if not gc.is_tracked(member):
            return False
        member = next((below for below in gc.get_referents(member) if type(below) is type(member) and where(below) == frames), None)
        if member is None:
            return False
        links += 1
    return links >= CHAIN


def _below(sampled):
    """The tracebacks of new members and of what hangs on them."""
    seen = set()
    for member in sampled:
        level, budget = [member], MOST_BELOW
        for _ in range(DEPTH):
            following = []
            for each in level:
                if id(each) in seen:
                    continue
                seen.add(id(each))
                frames = where(each)
                if frames is not None:
                    yield frames
                elif not _is_new(each):
                    continue                # older than the window
                if gc.is_tracked(each) or type(each) in (tuple, dict):
                    following.extend(below for below in gc.get_referents(each)[:MOST_BELOW] if not issubclass(type(below), STOP_AT))
            budget -= len(level)
            if budget <= 0:
                break
            level = following[:budget]
