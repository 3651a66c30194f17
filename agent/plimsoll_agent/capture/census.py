"""How many objects of each type there are and how much memory they take; and against another census, what has grown.

The collector knows only containers. A leak of str, bytes or bytearray is invisible to it but for the container that holds them, so
the contents of containers are counted too, one level deep (tuples and dicts that the collector has given up are looked through). An
atom that r containers share is met r times: each time it counts 1/r, which needs no memory of what was met before. Interned and
immortal atoms so count as nothing.

All objects are counted, but only the contents of Python's own containers and of the application's instances are looked at. What
C code shows to the collector is not always fit to be touched: CPython 3.12.0 to 3.12.5 hand out freed objects for the module
_asyncio, and hang in the next collection. The contents are looked at in rounds, each with every 61st object, until the time is
over, and what was found is scaled up; those of big containers always are: that is where leaks live. A cache of functools' is one, though
neither its size nor the collector shows it. An instance of a class of the application's is charged with what it alone holds (its
__dict__, its atoms): a class that leaks stands above the bytes in it.
"""
import collections
import gc
import sys

from .. import native
from . import bare, heap, ours, records
from .records import CACHE, size_of

CHUNK = 5000                                # objects between two looks at the clock
BIG = 4096                                  # bytes of a container itself: some 500 items
MOST_BIG = 200
MOST_CONTENTS = 20000                       # items of one container that are looked at
RECORDS_BUDGET = 0.3                        # seconds for what hangs on the members of those that have grown
IMMORTAL = 1 << 28
ROUNDS, STEP = 61, 37                       # primes: heaps are periodic (instance, its list, instance, its list...)
THROUGH = (tuple, dict)
CONTAINERS = frozenset([dict, list, tuple, set, frozenset, collections.deque, collections.OrderedDict,
                        collections.defaultdict])
ENTRY = 64                                  # bytes of an entry of a cache without what it keeps
LIBRARY = ("plimsoll_agent", "builtins", "abc", "collections", "functools", "types", "typing", "re", "enum", "weakref", "inspect", "asyncio",
           "threading", "logging", "importlib", "contextvars", "contextlib", "ast", "gc", "io", "os", "datetime", "decimal")


def _own_references():
    """How many references to a thing are ours while we look at it in a loop over a list: a matter of the interpreter's version."""
    for thing in [object()]:
        return sys.getrefcount(thing)


OWN_REFERENCES = _own_references()


class Census:
    def __init__(self):
        self.counts, self.bytes = {}, {}    # by name of type; atoms' counts are rounded estimates
        self.lengths = {}                   # id of a big container -> its length
        self.objects = 0
        self.looked_into = 0.0              # share of the objects whose contents were seen
        self.frozen = 0                     # objects that were not counted

    def table(self):
        return {name: {"count": count, "bytes": self.bytes.get(name, 0)} for name, count in self.counts.items()}

    def prune(self, least):
        """What is kept for a worker's life should be small: most types have a handful of objects."""
        self.counts = {name: count for name, count in self.counts.items() if self.bytes[name] >= least}
        self.bytes = {name: size for name, size in self.bytes.items() if size >= least}
        return self


class Container:
    """A big container, and what is in it."""

    def __init__(self, thing, length, contents):
        self.thing, self.length, self.contents = thing, length, contents   # by name of type: [count, bytes]
        self.grown = length
        self.records = 0                    # bytes of its members with all that hangs on them; 0: not looked at

    @property
    def bytes(self):
        return max(self.records, sum(size for _, size in self.contents.values()))


def name_of(kind):
    module, name = getattr(kind, "__module__", None), getattr(kind, "__qualname__", None) or repr(kind)
    return str(name) if module in (None, "builtins") else "%s.%s" % (module, name)


def is_library(kind):
    module = getattr(kind, "__module__", None)
    if type(module) is not str:
        return True
    root = module.partition(".")[0]
    return root in LIBRARY or root.startswith("_") and root != "__main__"


def everything():
    """The collector's objects with those that gc.freeze() took from it: it knows nothing of them, nor that they refer to others. They are frozen
    again, and what was made since with them: asked when a server or a worker is just ready, which is when applications freeze."""
    if not gc.get_freeze_count():
        return heap.objects()
    gc.unfreeze()
    try:
        return heap.objects()
    finally:
        gc.freeze()


def take(budget, polite=False, frozen=False):
    """The census, the objects that it saw (oldest first) and the big containers. `polite` leaves the others a turn after each chunk; `frozen`
    counts frozen objects too."""
    ends = native.monotonic() + budget
    census, kinds = Census(), {}
    objects = everything() if frozen else heap.objects()
    census.frozen = 0 if frozen else gc.get_freeze_count()
    census.objects = len(objects)
    big = []
    for start in range(0, len(objects), CHUNK):
        _count(objects[start:start + CHUNK], kinds, big)
        if native.monotonic() > ends:
            _name(census, kinds)
            return census, objects, []
        if polite:
            native.sleep(0.001)
    own = ours.things()
    _leave_out(own, kinds)
    own = set(map(id, own))
    big = sorted((item for item in big if id(item[1]) not in own), key=lambda item: -item[0])[:MOST_BIG]
    seen, atoms = set(id(thing) for _, thing in big), {}
    sampled, owned, rounds, hidden = {}, {}, 0, {}
    containers = [_look_into(thing, atoms, hidden) for _, thing in big]
    while rounds < ROUNDS and (native.monotonic() < ends or not rounds):
        for thing in objects[rounds * STEP % ROUNDS::ROUNDS]:
            if id(thing) not in seen:
                _contents(thing, owned, sampled, hidden)
        rounds += 1
        if polite:
            native.sleep(0.001)
    # Their atoms were counted where they were met.
    containers += [_look_into(thing, {}, {}) for thing in list(hidden.values())[:MOST_BIG]]
    census.looked_into = rounds / ROUNDS
    for found, scale in ((atoms, 1), (sampled, ROUNDS / rounds)):
        for kind, (count, size) in found.items():
            entry = kinds.setdefault(kind, [0, 0])
            entry[0] += count * scale
            entry[1] += size * scale
    for kind, size in owned.items():
        kinds[kind][1] += size * ROUNDS / rounds
    _name(census, kinds)
    for container in containers:            # an instance is worth what one of its class holds on average
        for name, entry in container.contents.items():
            if entry[1] is None:
                entry[1] = int(entry[0] * census.bytes[name] / max(1, census.counts[name]))
    census.lengths = {id(container.thing): container.length for container in containers}
    return census, objects, containers


def _name(census, kinds):
    for kind, (count, size) in kinds.items():
        name = name_of(kind)
        census.counts[name] = census.counts.get(name, 0) + int(round(count))
        census.bytes[name] = census.bytes.get(name, 0) + int(size)


def _count(chunk, kinds, big):
    for thing in chunk:
        kind, size = type(thing), size_of(thing)
        entry = kinds.get(kind)
        if entry is None:
            entry = kinds[kind] = [0, 0]
        entry[0] += 1
        entry[1] += size
        if size >= BIG and (kind in CONTAINERS or not is_library(kind) and not issubclass(kind, type)):
            big.append((size, thing))
        elif kind is CACHE:
            _count_cache(thing, big)


def _leave_out(own, kinds):
    """Our own objects were counted with the others: to ask of each whose it is would take longer than to count it."""
    for thing in own:
        entry = kinds.get(type(thing)) if gc.is_tracked(thing) else None
        if entry is not None:
            entry[0] = max(0, entry[0] - 1)
            entry[1] = max(0, entry[1] - size_of(thing))


def _count_cache(cache, big):
    """One without a bound keeps all in its dict, which the collector lists where it is no dict of atoms; one with a bound in a chain."""
    _, _, bound, entries = cache.cache_info()
    if entries * ENTRY < BIG:
        return
    keeps = cache if bound is not None else max((held for held in gc.get_referents(cache) if type(held) is dict), key=len, default=cache)
    if keeps is cache or not gc.is_tracked(keeps):
        big.append((entries * ENTRY, keeps))


def _look_into(thing, atoms, hidden):
    """A big container's contents by name of type, atoms added to the census as well."""
    referents = gc.get_referents(thing)
    step = 1 + len(referents) // MOST_CONTENTS
    contents = {}
    for held in referents[::step]:
        share = _share(sys.getrefcount(held) - OWN_REFERENCES - 1)         # and the slice
        if not share:
            continue
        entry = contents.setdefault(name_of(type(held)), [0, None if gc.is_tracked(held) else 0])
        entry[0] += step
        if not gc.is_tracked(held):
            _hide(held, hidden)
            _add(atoms, held, step * share)
            if entry[1] is not None:
                entry[1] += int(size_of(held) * step * share)
    length = bare.length(thing)
    return Container(thing, len(referents) if length is None else length, contents)


def _share(references):
    return 0 if references > IMMORTAL else 1.0 / max(1, references)


def _add(atoms, atom, weight, depth=3):
    entry = atoms.get(type(atom))
    if entry is None:
        entry = atoms[type(atom)] = [0, 0]
    entry[0] += weight
    entry[1] += size_of(atom) * weight
    if depth and type(atom) in THROUGH:
        for inner in gc.get_referents(atom):
            share = _share(sys.getrefcount(inner) - OWN_REFERENCES)
            if share and not gc.is_tracked(inner):
                _add(atoms, inner, weight * share, depth - 1)


def _hide(held, hidden):
    """The collector gives up dicts of atoms: they are in no list of its objects, and met only in whoever holds them."""
    if type(held) is dict and len(hidden) < MOST_BIG and size_of(held) >= BIG:
        hidden[id(held)] = held


def _contents(thing, owned, atoms, hidden):
    kind = type(thing)
    charged = kind not in CONTAINERS
    if charged and (is_library(kind) or issubclass(kind, type)):
        return
    for held in gc.get_referents(thing):
        references = sys.getrefcount(held) - OWN_REFERENCES
        if references > IMMORTAL:
            continue
        if not gc.is_tracked(held):
            _hide(held, hidden)
            _add(atoms, held, 1.0 / max(1, references))
        if charged and references <= 1:
            owned[kind] = owned.get(kind, 0) + _owned(held)


def _owned(held):
    """What an instance holds alone: an atom, or its __dict__ with the atoms in it."""
    size = size_of(held)
    if type(held) is dict:
        size += sum(size_of(value) for value in held.values() if not gc.is_tracked(value) and sys.getrefcount(value) <= OWN_REFERENCES + 1)
    return size


def growth(now, before, top):
    """[{type, count, bytes, delta, delta_bytes}] of what has grown, the most bytes gained first."""
    before = before or Census()
    rows = []
    for name, count in now.counts.items():
        size = now.bytes.get(name, 0)
        delta, delta_bytes = count - before.counts.get(name, 0), size - before.bytes.get(name, 0)
        if (delta > 0 or delta_bytes > 0) and not name.startswith("plimsoll_agent."):
            rows.append({"type": name, "count": count, "bytes": size, "delta": delta, "delta_bytes": delta_bytes})
    rows.sort(key=lambda row: (-row["delta_bytes"], -row["delta"], row["type"]))
    return rows[:top]


def grown_containers(containers, before, top, budget=RECORDS_BUDGET):
    """Big containers that have grown, the most bytes gained first."""
    lengths = before.lengths if before is not None else {}
    for container in containers:
        container.grown = container.length - lengths.get(id(container.thing), 0)
    def gained(container):
        return (container.bytes + size_of(container.thing)) * container.grown / max(1, container.length)
    grown = sorted((container for container in containers if container.grown > 0), key=gained, reverse=True)
    ends, outside = native.monotonic() + budget, records.modules()
    for container in grown:
        if native.monotonic() > ends:
            break
        container.records = records.worth(container.thing, outside, ends)
    grown.sort(key=gained, reverse=True)
    return [container for container in grown[:top] if gained(container) > gained(grown[0]) / 20]
