"""Who keeps an object alive: the shortest chain of references from a module, a class or a running function down to it.

    shop.orders._seen (dict, 40213 items) -> Order -> bytes

A look for referrers walks the whole heap whatever it is asked for, so all objects of a level are asked for at once: one walk a level.
Values are never written out, and of keys only the names of attributes: captures may hold personal data.
"""
import gc
import os
import sys
import types

from .. import native
from . import bare, heap, ours
from .census import CACHE, CONTAINERS, name_of

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEPTH, MOST_LEVELS = 8, 40                  # steps of a traceback count as none: it is as long as its calls were deep
MOST_OF_A_LEVEL = 300                       # more referrers than these add nothing that a human reads
MOST_HOLDERS = 8                            # of one object
MOST_ITEMS = 200000                         # of a container that are searched for the key
STACK = (types.TracebackType, types.FrameType)
RESTING = {types.CoroutineType: "cr_frame", types.GeneratorType: "gi_frame", types.AsyncGeneratorType: "ag_frame"}
SHARE_FOR_GREENLETS = 0.2                   # of the time: all objects are looked through for them


class Search:
    """The graph of who holds what, grown upwards from the targets level by level until each has a way to a root.
    hidden: objects of the capture itself, which refer to everything and keep nothing."""

    def __init__(self, hidden, ends):
        self._ends = ends
        self._things, self._holders, self._roots, self._steps = {}, {}, set(), {}        # by id
        self._resting = set()               # coroutines that wait: the end of a way where no root is near, as the loop's is not
        self._modules = {id(bare.attributes(module)): name for name, module in list(sys.modules.items())
                         if issubclass(type(module), types.ModuleType)}
        began = native.monotonic()
        self._running = _running(began + SHARE_FOR_GREENLETS * (ends - began))
        self._hidden = set(map(id, [*hidden, self._things, self._holders, self._steps, self._modules, vars(self)]))

    def chains(self, targets):
        """For each target its chain as text, outermost first, or None where none was found in time."""
        self._hidden.add(id(targets))
        self._things.update((id(target), target) for target in targets)
        self._steps.update((id(target), 0) for target in targets)
        level, dearest = list(targets), 0.0
        for _ in range(MOST_LEVELS):
            if not level or native.monotonic() > self._ends or all(self._path(id(target)) for target in targets):
                break
            began = native.monotonic()
            following = self._above(level)
            # A walk compares each reference of the heap with each thing that is asked for, and can't be interrupted.
            dearest = max(dearest, (native.monotonic() - began) / len(level))
            level = following[:max(1, int((self._ends - native.monotonic()) / dearest))] if dearest else following
        paths = (self._path(id(target)) or self._path(id(target), self._resting) for target in targets)
        return [self._text(path) if path else None for path in paths]

    def _above(self, level):
        """Links one level to its holders; those that are new and no roots are the next level."""
        self._hidden.add(id(level))
        wanted, following = set(map(id, level)), []
        referrers = gc.get_referrers(*level)
        self._hidden.add(id(referrers))
        for holder in referrers:
            known = id(holder) in self._things
            if id(holder) in self._hidden or self._is_ours(holder) or not known and len(following) >= MOST_OF_A_LEVEL:
                continue
            held = self._held(holder, wanted)
            for child in held:
                holders = self._holders.setdefault(child, [])
                if len(holders) < MOST_HOLDERS:
                    holders.append(id(holder))
            if held and not known:
                self._things[id(holder)] = holder
                if type(holder) in RESTING:
                    self._resting.add(id(holder))
                if self._is_root(holder):
                    self._roots.add(id(holder))
                    continue
                self._steps[id(holder)] = min(self._steps[child] for child in held) + (type(holder) not in STACK)
                if self._steps[id(holder)] < DEPTH:
                    following.append(holder)
            if native.monotonic() > self._ends:
                break
        self._hidden.discard(id(referrers))
        return following

    def _held(self, holder, wanted):
        if issubclass(type(holder), types.ModuleType):      # its C state is not to be touched: see census.py
            return wanted & {id(bare.attributes(holder))}
        return {id(held) for held in gc.get_referents(holder) if id(held) in wanted}

    def _is_root(self, holder):
        """A frame is one only while it runs: once its function has returned somebody keeps it (a traceback, a generator)."""
        return issubclass(type(holder), (types.ModuleType, type)) or id(holder) in self._modules or id(holder) in self._running

    def _is_ours(self, holder):
        if type(holder) is types.FrameType:
            return holder.f_code.co_filename.startswith(PACKAGE)
        return ours.made(holder if issubclass(type(holder), type) else type(holder)) or ours.has(self._modules.get(id(holder)))

    def _path(self, target, roots=None):
        """The shortest way from a root down to the target, as ids."""
        roots = self._roots if roots is None else roots
        ways, seen = [[target]], {target}
        while ways:
            following = []
            for way in ways:
                for holder in self._holders.get(way[0], ()):
                    if holder in roots:
                        return [holder] + way
                    if holder not in seen:
                        seen.add(holder)
                        following.append([holder] + way)
            ways = following
        return None

    def _text(self, path):
        """`shop.cart.lines (list, 5 items)`: an attribute goes with its instance, what only holds another's contents goes unsaid."""
        things = [self._things[each] for each in path]
        if type(things[0]) in RESTING:      # until 3.10 it holds its frame, later what the frame's locals hold
            frame = getattr(things[0], RESTING[type(things[0])])
            things = [frame, *(each for each in things[1:] if each is not frame)] if frame is not None else things
        things = things[:1] + [child for parent, child, last in zip(things, things[1:], [False] * (len(things) - 2) + [True])
                               if not _is_part_of(child, parent, last)]
        text, kind = self._root_text(things[0], things[1]), ""     # kind: of the last one, should nothing be said of its attributes
        for parent, child in zip(things[1:], things[2:]):
            if type(child) is types.FrameType and child is not things[-1]:
                continue                    # its local says whose it is
            if type(parent) is types.FrameType:
                text, kind = text + kind + " -> " + _local(parent, child), ""
                continue
            attribute = _attribute(parent, child)
            if attribute:
                text, kind = text + "." + attribute + _measure(child), "" if _measure(child) else " -> " + _describe(child)
            elif _describe(child):
                text, kind = text + kind + " -> " + _describe(child), ""
        return text + kind

    def _root_text(self, root, child):
        """Names the root's child too."""
        if type(root) is types.FrameType:
            return _local(root, child)
        if issubclass(type(root), type):
            return "class %s.%s%s" % (name_of(root), _key_of(type.__getattribute__(root, "__dict__"), child) or "?", _measure(child))
        if issubclass(type(root), types.ModuleType):
            return str((bare.attributes(root) or {}).get("__name__"))
        if type(root) in RESTING:           # it has just ended
            return name_of(type(root))
        return "%s.%s%s" % (self._modules[id(root)], _key_of(root, child) or "?", _measure(child))


def _running(ends):
    """The frames of all threads, by id; and of greenlets that wait, which show theirs to nobody, as far as they are found in time."""
    found, waiting = set(), []
    kind = (bare.attributes(sys.modules.get("greenlet")) or {}).get("greenlet")
    for count, each in enumerate(heap.objects() if issubclass(type(kind), type) else ()):
        if issubclass(type(each), kind):
            waiting.append(getattr(each, "gr_frame", None))
        if count % 10000 == 0 and native.monotonic() > ends:
            break
    for frame in [*sys._current_frames().values(), *waiting]:
        while type(frame) is types.FrameType and id(frame) not in found:
            found.add(id(frame))
            frame = frame.f_back
    return found


def _local(frame, child):
    code, name = frame.f_code, _key_of(frame.f_locals, child) or "?"
    return "local %s of %s (%s:%d)%s" % (name, code.co_name, code.co_filename, frame.f_lineno, _measure(child))


def _key_of(mapping, child):
    for count, (key, value) in enumerate(mapping.items()):
        if value is child:
            return key if type(key) is str else None
        if count > MOST_ITEMS:
            break
    return None


def _is_part_of(child, parent, last):
    """The attributes of a class or an instance, the cells and defaults of a function, the dict of a cache, the traceback of an exception."""
    if type(child) is tuple and type(parent) is types.FunctionType or type(child) is types.TracebackType:
        return not last
    if type(child) is not dict:
        return False
    if type(parent) is CACHE:
        return True
    if issubclass(type(parent), types.ModuleType):
        return False
    attributes = gc.get_referents(type.__getattribute__(parent, "__dict__")) if issubclass(type(parent), type) else [bare.attributes(parent)]
    return not last and child is next(iter(attributes), None)


def _attribute(parent, child):
    """Its name, where the parent is an instance."""
    attributes = bare.attributes(parent) if not issubclass(type(parent), (type, dict, types.FunctionType)) else None
    return _key_of(attributes, child) if attributes is not None else None


def _describe(thing):
    if type(thing) is types.CellType:
        return ""
    if type(thing) is types.FunctionType:
        return "function %s.%s" % (thing.__module__, thing.__qualname__)
    return name_of(type(thing)) + _measure(thing)


def _measure(thing):
    if type(thing) in CONTAINERS:
        return " (%s, %d items)" % (type(thing).__name__, len(thing))
    if type(thing) is CACHE:
        _, _, bound, entries = thing.cache_info()
        return " (lru_cache, %d items)" % entries if bound is None else " (lru_cache, %d of %d items)" % (entries, bound)
    return ""
