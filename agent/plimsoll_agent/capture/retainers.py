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
from .census import name_of

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEPTH = 8
MOST_OF_A_LEVEL = 300                       # more referrers than these add nothing that a human reads
MOST_ITEMS = 200000                         # of a container that are searched for the key


class Search:
    """ours: objects of the capture itself, which refer to everything and keep nothing."""

    def __init__(self, ours, ends):
        self._hidden = set(map(id, ours))
        self._ends = ends
        self._modules = {id(module.__dict__): name for name, module in list(sys.modules.items())
                         if isinstance(module, types.ModuleType)}

    def chains(self, targets):
        """For each target its chain as text, outermost first, or None where none was found in time."""
        above = {id(target): None for target in targets}    # id -> (child's id, how the child is held)
        things = {id(target): target for target in targets}
        found, level = {}, list(targets)
        hide = self._hidden
        hide.update(map(id, (above, things, found, targets)))
        origin = {id(target): {id(target)} for target in targets}
        hide.add(id(origin))
        for _ in range(DEPTH):
            if not level or native.monotonic() > self._ends or len(found) == len(targets):
                break
            hide.add(id(level))
            referrers = gc.get_referrers(*level)
            hide.add(id(referrers))
            wanted = set(map(id, level))
            following = []
            for holder in referrers:
                if id(holder) in above or id(holder) in hide or self._is_ours(holder):
                    continue
                child = self._child(holder, wanted)
                if child is None:
                    continue
                above[id(holder)] = child
                things[id(holder)] = holder
                origin[id(holder)] = origin[child]
                root = self._root(holder, things[child])
                new = origin[child] - set(found)
                if root is not None:
                    for target in new:
                        found[target] = self._text(root, holder, child, above, things)
                elif new and len(following) < MOST_OF_A_LEVEL:
                    following.append(holder)
                if native.monotonic() > self._ends:
                    break
            level = following
        return [found.get(id(target)) for target in targets]

    def _is_ours(self, holder):
        if isinstance(holder, types.FrameType):
            return holder.f_code.co_filename.startswith(PACKAGE)
        return type(holder).__module__.startswith("plimsoll_agent")

    def _child(self, holder, wanted):
        if isinstance(holder, types.ModuleType):            # its C state is not to be touched: see census.py
            return id(vars(holder)) if id(vars(holder)) in wanted else None
        for referent in gc.get_referents(holder):
            if id(referent) in wanted:
                return id(referent)
        return None

    def _root(self, holder, child):
        """Text where the chain may end, else None."""
        if isinstance(holder, types.ModuleType):
            return holder.__name__
        if isinstance(holder, dict) and id(holder) in self._modules:
            name = self._modules[id(holder)]
            key = _key_of(holder, child)
            return "%s.%s%s" % (name, key, _measure(child)) if key else name
        if isinstance(holder, type):
            key = next((key for key, value in vars(holder).items() if value is child), None)
            return "class %s%s%s" % (name_of(holder), "." + key if key else "", _measure(child))
        if isinstance(holder, types.FrameType):
            name = next((name for name, value in holder.f_locals.items() if value is child), "?")
            return "local %s%s of %s (%s:%d)" % (name, _measure(child), holder.f_code.co_name, holder.f_code.co_filename, holder.f_lineno)
        return None

    def _text(self, root, holder, child, above, things):
        """root names the child already; from there down to the target."""
        named = isinstance(holder, (types.FrameType, type)) or isinstance(holder, dict) and id(holder) in self._modules
        steps = [root]
        if not named:
            steps.append(_describe(things[child]))
        while above[child] is not None:
            parent, child = child, above[child]
            steps.append(_edge(things[parent], things[child]) + _describe(things[child]))
        return " -> ".join(step for step in steps if step)


def _key_of(mapping, child):
    for count, (key, value) in enumerate(mapping.items()):
        if value is child:
            return key if isinstance(key, str) else None
        if count > MOST_ITEMS:
            break
    return None


def _edge(parent, child):
    """The attribute's name, where the parent is an instance."""
    attributes = getattr(parent, "__dict__", None) if not isinstance(parent, (type, dict)) else None
    if type(attributes) is dict:
        key = _key_of(attributes, child)
        return "." + key + " " if key else ""
    if isinstance(parent, types.FunctionType):
        return "closure "
    return ""


def _describe(thing):
    if isinstance(thing, types.CellType):
        return ""
    if isinstance(thing, types.FunctionType):
        return "function %s.%s" % (thing.__module__, thing.__qualname__)
    return name_of(type(thing)) + _measure(thing)


def _measure(thing):
    if type(thing) in (dict, list, set, frozenset, tuple) or type(thing).__name__ in ("deque", "OrderedDict", "defaultdict"):
        return " (%s, %d items)" % (type(thing).__name__, len(thing))
    return ""
