"""What a capture says of who keeps what has grown: the name that its owner gave it, and its length."""
import collections
import functools
import gc
import os
import pickle
import sys
import tracemalloc
import types

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from plimsoll_agent.capture import boot, census, phases, retainers  # noqa: E402

COUNT, SIZE = 2000, 4000
module = {}
pages = {"of": {}}
newest = collections.deque()


class Orders:
    of_all = {}

    def __init__(self):
        self.own = []


class Shop:
    def __init__(self):
        self.orders = Orders()


shop = Shop()


@functools.lru_cache(maxsize=None)
def rendered(number):
    return bytes(SIZE)


@functools.lru_cache(maxsize=None)
def rows(number):
    return [bytes(SIZE)]


@functools.lru_cache(maxsize=100 * COUNT)
def bounded(name):
    return bytes(SIZE)


class Prices:
    @functools.lru_cache(maxsize=None)
    def price(self, number):
        return bytes(SIZE)


def counter():
    history = []

    def count(number):
        history.append(bytes(SIZE))
    return count


def default(number, seen=[]):               # noqa: B006: the very mistake
    seen.append(bytes(SIZE))


count = counter()
CASES = [
    (lambda n: module.update({n: bytes(SIZE)}), "module (dict, 2000 items)"),
    (lambda n: newest.append(bytes(SIZE)), "newest (deque, 2000 items)"),
    (lambda n: Orders.of_all.update({n: bytes(SIZE)}), "class Orders.of_all (dict, 2000 items)"),
    (lambda n: shop.orders.own.append(bytes(SIZE)), "shop.orders.own (list, 2000 items)"),
    (lambda n: pages["of"].update({n: bytes(SIZE)}), "pages (dict, 1 items) -> dict (dict, 2000 items)"),
    (rendered, "rendered (lru_cache, 2000 items)"),
    (rows, "rows (lru_cache, 2000 items)"),
    (lambda n: bounded(str(n)), "bounded (lru_cache, 2000 of 200000 items)"),
    (lambda n: Prices().price(n), "class Prices.price (lru_cache, 2000 items)"),
    (count, "count -> list (list, 2000 items)"),
    (default, "default -> list (list, 2000 items)"),
]


class Task:
    args, files = {}, {}

    def left(self):
        return 20.0

    def file(self, name, content):
        self.files[name] = content


@pytest.fixture
def emptied():
    yield
    for thing in (module, pages["of"], newest, Orders.of_all, shop.orders.own, count.__closure__[0].cell_contents, default.__defaults__[0]):
        thing.clear()
    for cache in (rendered, rows, bounded, Prices.price):
        cache.cache_clear()


@pytest.mark.parametrize("leak,keeper", CASES, ids=[keeper.split(" (")[0] for _, keeper in CASES])
def test_what_grows_is_named_as_its_owner_names_it(leak, keeper, emptied, monkeypatch):
    before = census.take(5.0)[0]
    monkeypatch.setattr(boot, "census", lambda: before)
    for number in range(COUNT):
        leak(number)
    gc.collect()
    data = {"containers": []}
    phases.look_at_heap(Task(), data)
    first = data["containers"][0]
    assert (first["kept_by"] or "").replace(__name__ + ".", "") == keeper, data["containers"]


def lists_of_rows():
    return [[number] for number in range(COUNT)]


def test_the_agents_own_objects_and_tracemallocs_are_no_evidence(monkeypatch):
    pickle.dumps(tracemalloc.Snapshot((), 1))           # copyreg notes the names of its slots, in a list that is new
    before = census.take(5.0)[0]
    before.lengths = {number: number for number in range(COUNT)}
    monkeypatch.setattr(boot, "_census", before)
    now, objects, containers = census.take(5.0)
    assert all(container.thing is not before.lengths for container in containers)
    slots = tracemalloc.Snapshot.__slotnames__
    targets, _ = phases.suspects([*objects, slots], [], [{"type": "list", "delta": 1, "delta_bytes": 1000}])
    assert targets and all(target is not slots for target in targets)
    del objects, containers
    assert retainers.Search([], 1e18).chains([slots, before.lengths]) == [None, None]


def test_of_a_type_that_has_grown_some_of_all_that_were_added_are_looked_at():
    rows = lists_of_rows()
    others = [[] for _ in range(10)]
    targets, titles = phases.suspects([*rows, *others], [], [{"type": "list", "delta": COUNT, "delta_bytes": 1000}])
    assert titles == ["list"] * 3 and [target in rows for target in targets] == [True] * 3


recent = []


class NoResults(Exception):
    pass


def find(depth):
    rows = [["row"] for number in range(COUNT)]
    if depth:
        return find(depth - 1)
    raise NoResults(len(rows))


def test_a_function_that_has_returned_keeps_nothing_but_the_exception_does_that_kept_its_frame():
    try:
        find(12)
    except NoResults as error:
        recent.append(error)
    line = find.__code__.co_firstlineno + 4
    try:
        traceback = recent[0].__traceback__
        while traceback.tb_next is not None:
            traceback = traceback.tb_next
        rows = traceback.tb_frame.f_locals["rows"]
        gc.collect()
        del traceback
        chain, = retainers.Search([], 1e18).chains([rows])
        assert chain == "%s.recent (list, 1 items) -> %s.NoResults -> local rows of find (%s:%d) (list, 2000 items)" % (
            __name__, __name__, __file__, line)
    finally:
        recent.clear()


def rests():
    seen = dict.fromkeys(range(COUNT))
    yield [seen]                            # a list that is nobody's but the caller's
    yield seen


def test_what_waits_far_from_any_root_is_told_by_its_own_local():
    """As a task that sleeps is: its loop is a dozen steps away."""
    generator = rests()
    targets = next(generator)
    far = [generator]
    for _ in range(retainers.DEPTH + 2):
        far = [far]
    module["far"] = far
    del generator, far
    try:
        gc.collect()
        chain, = retainers.Search([], 1e18).chains(targets)
        assert chain == "local seen of rests (%s:%d) (dict, 2000 items)" % (__file__, rests.__code__.co_firstlineno + 2)
    finally:
        module.clear()


@pytest.mark.parametrize("stand_in", [types.ModuleType("greenlet"), None, object()])
def test_a_module_that_is_only_called_greenlet_is_in_nobodys_way(monkeypatch, stand_in):
    monkeypatch.setitem(sys.modules, "greenlet", stand_in)
    pages["of"]["greenlet"] = wanted = ["page"]
    try:
        chain, = retainers.Search([], 1e18).chains([wanted])
        assert chain and "pages" in chain
    finally:
        pages["of"].clear()
