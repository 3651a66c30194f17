"""What the members of a container are worth with all that they alone hold.

    {7: {"trail": ["a-1", "a-2", ...]}, 8: ...}     a dict of dicts of lists of str: by its direct members it is worth next to nothing

Of the newest members some are looked at, and some of what hangs on each; where a thing holds more than are looked at, each of those counts
for several. What others hold too counts by the share of its references that come from within the record: the order to which its
lines refer back wholly, what two of them share by half, the shop to which all orders refer not at all.
"""
import functools
import gc
import sys
import types

from .. import native
from . import bare

SAMPLED, FEWEST = 80, 8                     # members: a dict has a key and a value
DEPTH, MOST, WIDTH = 8, 150, 24             # of what hangs on a member; things in all, and of one
CACHE = type(functools.lru_cache(maxsize=1)(lambda: None))
THROUGH = (tuple, dict)                     # the collector has given up those of atoms
STOP_AT = (type, types.ModuleType, types.CodeType, types.BuiltinFunctionType)
UNORDERED = (set, frozenset)
LEAST_SHARE = 0.2                           # below which it is somebody else's


def _references_in_a_list():
    """How many references `getrefcount` tells of a thing that a list alone holds: a matter of the interpreter's version."""
    things = [object()]
    return sys.getrefcount(things[0])


IN_LIST = _references_in_a_list()


def modules():
    """What belongs to nobody's record: what all functions of a module refer to."""
    return {id(bare.attributes(module)) for module in list(sys.modules.values()) if issubclass(type(module), types.ModuleType)}


def worth(container, outside, ends):
    """Bytes of all that the container's members hold, as of the newest of them; 0 where there was no time to look. The caller has a list of
    all objects that the collector knows."""
    members = gc.get_referents(container)
    count = len(members)
    if type(container) in UNORDERED:
        members = members[::1 + count // SAMPLED]
    elif type(container) is CACHE:          # which has a dict of its links too
        entries = container.cache_info().currsize
        members = [each for each in members if type(each) is not dict or len(each) != entries][-SAMPLED:]
    else:
        members = members[-SAMPLED:]
    outside, looked_at, size = outside | {id(container)}, 0, 0.0
    while members and (looked_at < FEWEST or native.monotonic() < ends):
        size += _worth_of([members.pop()], outside)
        looked_at += 1
    return int(size / max(1, looked_at) * count)


def _worth_of(things, outside):
    """things: the member alone, to which what hangs on it is added."""
    if _is_nobodys(things[0], outside):
        return 0
    index, met, holders, stands_for = {id(things[0]): 0}, [1], [0], [1]
    begin = 0
    for _ in range(DEPTH):
        end = len(things)
        for at in range(begin, end):
            if at and met[at] < LEAST_SHARE * _references_to(things, at):
                continue                    # somebody else's, and so is what hangs on it: the shop that has an index of all orders
            below = _below(things[at])
            step = 1 + len(below) // WIDTH
            while below:
                known = index.get(id(below[-1]))
                if known is not None:
                    met[known] += stands_for[at] * step
                elif len(things) < MOST and not _is_nobodys(below[-1], outside):
                    index[id(below[-1])] = len(things)
                    things.append(below[-1])
                    met.append(1), holders.append(at), stands_for.append(stands_for[at] * step)
                del below[-step:]
        begin = end
    size, shares = 0.0, []
    for at in range(len(things)):
        share = min(1.0, met[at] / max(1, _references_to(things, at)))
        shares.append((share if share >= LEAST_SHARE else 0.0) * (shares[holders[at]] if at else 1.0))
        size += shares[at] * stands_for[at] * size_of(things[at])
    return size


def _references_to(things, at):
    """By others than the lists of what is looked at."""
    return sys.getrefcount(things[at]) - IN_LIST - gc.is_tracked(things[at])


def _is_nobodys(thing, outside):
    return id(thing) in outside or issubclass(type(thing), STOP_AT)


def _below(thing):
    if type(thing) is types.FunctionType:
        return [each for each in (thing.__closure__, thing.__defaults__) if each]
    return gc.get_referents(thing) if gc.is_tracked(thing) or type(thing) in THROUGH else []


def size_of(thing):
    try:
        return sys.getsizeof(thing)
    except Exception:                       # a __sizeof__ of the application's
        return 0
