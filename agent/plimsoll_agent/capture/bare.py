"""Types, attributes and lengths as the interpreter keeps them: a look at a heap runs none of the application's code.

`isinstance` asks a thing for its `__class__` where its type does not match, and `getattr` and `len` call what its class defines: a lazy
object (Django's request.user, werkzeug's proxies, modules that are loaded at first use) then evaluates itself, here: in the agent's
thread, with a query to a database, for each one that is in memory. So the walks ask `issubclass(type(thing), ...)`, and the functions
below for the rest.
"""
import collections
import types

import _thread

SIZED = (dict, list, tuple, set, frozenset, collections.deque)
SLOTS = (types.GetSetDescriptorType, types.MemberDescriptorType)       # made by the interpreter, for `__dict__` and C code's attributes


def defined(kind, name):
    """What a type, or the nearest of its bases, has under a name; None where none has."""
    for base in type.__getattribute__(kind, "__mro__"):
        attributes = type.__getattribute__(base, "__dict__")
        if name in attributes:
            return attributes[name]
    return None


def attributes(thing):
    """The `__dict__` of an instance or a module, or None where it has none of its own, or one that its class computes (a thread-local
    calls `__init__` for a thread that it doesn't know yet)."""
    slot = defined(type(thing), "__dict__")
    if type(slot) not in SLOTS or slot.__objclass__ is _thread._local:
        return None
    try:
        found = slot.__get__(thing)
    except Exception:                       # C code's
        return None
    return found if type(found) is dict else None


def length(thing):
    """Of a container, also of a class derived from one; None of anything else."""
    base = next((base for base in SIZED if issubclass(type(thing), base)), None)
    return None if base is None else base.__len__(thing)
