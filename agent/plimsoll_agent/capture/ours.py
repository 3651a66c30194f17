"""What is the agent's own, and tracemalloc's, which works for it: in no census, and it keeps nothing of the application's.

Found from their modules down, through containers and instances of their own classes alone: what the hooks hold is the application's.
"""
import gc
import sys
import types

from . import bare

AGENT = __name__.partition(".")[0]
MODULES, HOOKS = (AGENT, "tracemalloc", "_tracemalloc"), AGENT + ".hooks"
CONTAINERS = (dict, list, tuple, set, frozenset)
MOST = 20000


def has(module):
    """By its name."""
    return type(module) is str and (module in MODULES or module.startswith(AGENT + "."))


def made(kind):
    """Whether it made this class."""
    return has(type.__getattribute__(kind, "__dict__").get("__module__"))


def things():
    """All that the collector lists or not; what makes a list of them must let go of it before anybody asks who refers to what."""
    found, known = [], set()
    level = [bare.attributes(module) for name, module in list(sys.modules.items())
             if has(name) and not name.startswith(HOOKS) and issubclass(type(module), types.ModuleType)]
    while level and len(found) < MOST:
        following = []
        for each in level:
            if each is None or id(each) in known or not _is_ours(each):
                continue
            known.add(id(each))
            found.append(each)
            following.extend(gc.get_referents(each))
        level = following
    return found


def _is_ours(thing):
    if type(thing) in CONTAINERS:
        return True
    kind = thing if issubclass(type(thing), type) else type(thing)
    return made(kind) and not str(type.__getattribute__(kind, "__module__")).startswith(HOOKS)
