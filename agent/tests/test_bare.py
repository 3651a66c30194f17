"""The walks of the heap run none of the application's code: lazy objects stay as lazy as they were."""
import collections
import gc
import os
import sys
import types

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from plimsoll_agent import native, release                              # noqa: E402
from plimsoll_agent.capture import bare, census, cycles, functions, native_code, retainers, stacks, trace     # noqa: E402

evaluated = []


def lazily(name):
    def of(self, *args):
        evaluated.append(name)
        raise RuntimeError("%s was asked for outside of a request" % name)
    return of


class Lazy:
    """As Django's SimpleLazyObject and werkzeug's LocalProxy: what it stands for answers for it."""
    __class__ = property(lazily("__class__"))
    __dict__ = property(lazily("__dict__"))
    __len__, __getattr__, __eq__, __hash__ = lazily("__len__"), lazily("__getattr__"), lazily("__eq__"), lazily("__hash__")


class LazyRows(list):
    __class__ = property(lazily("__class__"))
    __len__ = lazily("__len__")


class Holder:
    def __init__(self):
        self.user, self.rows = Lazy(), LazyRows()


class LazyModule(types.ModuleType):
    """As importlib.util.LazyLoader's: loaded by whatever is asked of it."""
    def __getattribute__(self, name):
        evaluated.append("module." + name)
        raise RuntimeError("not loaded yet")


kept = []
lazy_name = None                            # as flask.request is


def test_no_walk_of_the_heap_evaluates_a_lazy_object():
    global lazy_name
    lazy_name = Lazy()
    sys.modules["lazy_module_of_a_test"] = LazyModule("lazy_module_of_a_test")
    kept.extend(Holder() for _ in range(50))
    list.extend(kept[0].rows, [Lazy() for _ in range(2000)])
    del evaluated[:]
    try:
        now, objects, containers = census.take(5.0)
        search = retainers.Search([objects, now, containers], native.monotonic() + 5)
        chains = search.chains([kept[7].user, kept[0].rows])
        trace.start()
        kept.extend(Holder() for _ in range(50))
        taken = trace.stop()
        ranked = trace.analyse(taken.traces, 20, taken.held)[0]
        functions.name_lines(ranked + [{"file": __file__, "line": 5}])
        cycle = Holder()
        cycle.me = cycle
        del cycle
        cycles.collect()
        stacks.collect()
        native_code.loaded()
        release.of_code()
        assert evaluated == []
        assert all(chain and ".kept" in chain for chain in chains), chains
    finally:
        lazy_name = None
        del kept[:], sys.modules["lazy_module_of_a_test"]
        gc.collect()


def test_a_length_and_attributes_are_the_interpreters_own():
    class Queue(collections.deque):
        __len__ = lazily("__len__")
    assert bare.length(Queue([1, 2, 3])) == 3 and bare.length(object()) is None
    thing = Holder.__new__(Holder)
    thing.a = 1
    assert bare.attributes(thing) == {"a": 1} and bare.attributes(os) is vars(os)
    assert bare.attributes(Lazy()) is None and bare.attributes(7) is None and bare.attributes(Holder) is None
