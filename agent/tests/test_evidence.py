"""Pieces of the evidence by themselves: cycles, what is open, the picture of what keeps objects alive."""
import asyncio
import gc
import json
import os
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
import types
import xml.etree.ElementTree as ElementTree

import pytest

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, HERE)

from plimsoll_agent import memory, release    # noqa: E402
from plimsoll_agent.capture import census, cycles, graph, malloc, opened, records, siblings, stacks, tasks     # noqa: E402


class Loop:
    def __init__(self):
        self.me = self

    def __del__(self):
        pass


def test_cycles_are_told_by_type_with_their_finalizers_and_freed():
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            Loop()
        found = cycles.collect()
    finally:
        gc.enable()
    name = "%s.Loop" % __name__
    assert found["finalizers"] == {name: 50} and found["types"][name] == 50 and found["unreachable"] >= 50
    assert gc.get_debug() == 0 and not gc.garbage
    assert not any(isinstance(thing, Loop) for thing in gc.get_objects())


LEAKS_CYCLES = """
import gc, json, sys
sys.path.insert(0, sys.argv[1])
from plimsoll_agent.capture import phases, trace

class Node:
    def __init__(self):
        self.me, self.data = self, bytearray(5000)

    def __del__(self):
        pass

def failing():
    try:
        raise ValueError(bytearray(5000))
    except ValueError as error:             # its traceback has this frame, which has it: no code of ours can cut that
        kept = error

class Task:
    args = {"requests": 400}
    file = staticmethod(lambda name, content: None)
    left = staticmethod(lambda: 10)

gc.collect()
gc.set_threshold(1000000) if sys.argv[2] == "on" else gc.set_threshold(0)
trace.start()
for _ in range(400):
    Node(), failing()
told = phases.capture_b(Task)
print(json.dumps([told["cycles"], told["window"], told["gc"], sum(line["bytes"] for line in told["lines"]), told["missed"]]))
"""


@pytest.mark.parametrize("collector", ["on", "off"])
def test_cycles_are_told_though_a_trace_is_taken_before_them(collector):
    cycles, window, numbers, kept, missed = json.loads(subprocess.check_output([sys.executable, "-c", LEAKS_CYCLES, HERE, collector]).decode())
    assert not missed and numbers["enabled"] and numbers["automatic"] == (collector == "on")
    assert cycles["unreachable"] >= 1600 and cycles["types"]["__main__.Node"] == 400 and cycles["finalizers"] == {"__main__.Node": 400}
    assert (kept < 400000) == (collector == "on"), kept     # what nobody collects is what leaks; else it is no survivor
    assert window["collected"]


def test_what_the_application_has_in_gc_garbage_is_left_there():
    name = [1]
    gc.garbage.append(name)
    try:
        assert cycles.collect()["garbage"] == {"list": 1} and gc.garbage == [name]
    finally:
        gc.garbage.clear()


def test_a_socket_that_was_forgotten_shows_as_close_wait():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    served, _ = listener.accept()
    before = opened.descriptors()
    client.shutdown(socket.SHUT_WR)
    while served.recv(1):
        pass
    after = opened.descriptors()
    assert after["socket, tcp close-wait"] == before.get("socket, tcp close-wait", 0) + 1
    for each in (listener, client, served):
        each.close()


def test_threads_and_tasks_go_by_the_code_that_they_run():
    go = threading.Event()

    def waits():
        go.wait(20)
    made = [threading.Thread(target=waits) for _ in range(3)]
    [thread.start() for thread in made]
    assert any("waits (" in where and count == 3 for where, count in opened.threads().items()), opened.threads()
    go.set()
    [thread.join() for thread in made]

    async def sleeper():
        await asyncio.sleep(20)

    async def main():
        kept = [asyncio.ensure_future(sleeper()) for _ in range(4)]
        await asyncio.sleep(0)
        found = opened.tasks()
        [task.cancel() for task in kept]
        return found
    assert [count for name, count in asyncio.run(main()).items() if name.endswith("sleeper")] == [4]


class Restless:
    """A set to which another thread adds, as often as it may be listed in vain."""

    def __init__(self, failures, *contents):
        self.failures, self.contents = failures, contents

    def __iter__(self):
        self.failures -= 1
        if self.failures >= 0:
            raise RuntimeError("Set changed size during iteration")
        return iter(self.contents)


@pytest.mark.parametrize("failures", [3, 10**9])
def test_stacks_are_told_while_a_loop_makes_tasks(failures, monkeypatch):
    restless = Restless(failures)
    monkeypatch.setattr("asyncio.tasks._all_tasks", restless, raising=False)
    go = threading.Event()
    thread = threading.Thread(target=lambda: go.wait(20), name="in the middle of it")
    thread.start()
    try:
        assert "in the middle of it" in stacks.collect()[0] and restless.failures < failures
        assert opened.tasks() == {}
    finally:
        go.set()
        thread.join()


def test_a_set_that_changes_is_listed_once_it_holds_still():
    assert tasks.listed(Restless(3, "task")) == ["task"]


def test_what_a_library_makes_of_its_greenlets_costs_only_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "greenlet", object())
    assert isinstance(stacks.collect()[0], str)


CHAINS = ["shop._seen (dict, 40213 items) -> shop.Order -> bytes", "shop._seen (dict, 40213 items) -> str", None, 'class a.B."<x>" & co -> C']


def test_the_picture_is_valid_svg_and_chains_that_begin_alike_share_a_box():
    picture = graph.tree(["t"] * 4, CHAINS)
    texts = [node.text for node in ElementTree.fromstring(graph.svg(picture)).iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("shop._seen (dict, 40213 items)") == 1 and 'class a.B."<x>" & co' in texts and len(texts) == 6


def test_dot_has_an_edge_for_each_step():
    text = graph.dot(graph.tree(["t"] * 4, CHAINS))
    assert text.count(" -> n") == 4 and '\\"<x>\\"' in text and text.startswith("digraph")


def test_children_that_nobody_waited_for_are_counted():
    before = memory.child_count()
    child = subprocess.Popen(["true"])
    assert memory.child_count() == before + 1
    child.wait()
    assert memory.child_count() == before


def told_by_malloc(**environment):
    code = "from plimsoll_agent import memory; held = [bytes(5000) for _ in range(20000)]; print(memory.malloc_use()[0])"
    return subprocess.run([sys.executable, "-c", code], cwd=HERE, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def test_what_is_in_use_is_unknown_where_another_allocator_serves():
    assert int(told_by_malloc()) > 20000 * 5000
    assert told_by_malloc(LD_PRELOAD="libjemalloc.so.2") == "None"


def test_a_release_is_what_the_environment_says_or_else_the_codes_hash(tmp_path, monkeypatch):
    assert release.told({"PLIMSOLL_RELEASE": "7.1", "X": "2"}) == "7.1"
    assert release.told({"PLIMSOLL_RELEASE_VARIABLE": "X", "X": "2"}) == "2" and release.told({}) is None
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "shop_of_a_test.py").write_text("a = 1")
    __import__("shop_of_a_test")
    first = release.of_code()
    assert first == release.of_code() and first.startswith("code-")
    (tmp_path / "shop_of_a_test.py").write_text("a = 2")
    assert release.of_code() != first


def test_children_are_told_by_program_and_those_that_nobody_waited_for_as_zombies():
    ended, running = subprocess.Popen(["true"]), subprocess.Popen(["sleep", "60"])
    try:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert opened.children() == {"zombie (ended, not waited for)": 1, "sleep": 1}
    finally:
        running.kill()
        running.wait()
        ended.wait()


seen = {}


def test_a_dict_of_atoms_is_found_though_the_collector_has_given_it_up():
    seen.update((str(number), bytearray(1000)) for number in range(2000))
    gc.collect()
    try:
        now, _, containers = census.take(5.0)
        mine = [container for container in containers if container.thing is seen]
        assert len(mine) == 1 and mine[0].length == 2000 and mine[0].bytes > 2000 * 1000
    finally:
        seen.clear()


class Order:
    shop = None

    def __init__(self, number):
        self.lines = [{"order": self, "text": "order %d line %d" % (number, line)} for line in range(20)]
        self.shop = Order.shop


RECORDS = {
    "dicts of lists": lambda n: {"number": n, "trail": ["%d-%d" % (n, step) for step in range(70)]},
    "instances that refer back": Order,
    "closures": lambda n: (lambda text=["%d-%d" % (n, step) for step in range(70)]: text),
}


@pytest.mark.parametrize("make", RECORDS.values(), ids=RECORDS)
def test_a_container_of_nested_records_is_worth_all_that_they_alone_hold(make):
    Order.shop = {"catalogue": [bytes(1000) for _ in range(10000)]}     # ten megabytes to which all orders refer
    kept = [make(number) for number in range(50)]
    before = census.take(5.0)[0]
    tracemalloc.start()
    try:
        kept.extend([make(number) for number in range(3000)])
        added = tracemalloc.get_traced_memory()[0]
        now, objects, containers = census.take(5.0)
        mine = [container for container in census.grown_containers(containers, before, 20) if container.thing is kept]
        assert len(mine) == 1 and 0.6 * added < mine[0].bytes < 1.3 * added, (mine and mine[0].bytes, added)
    finally:
        tracemalloc.stop()
        Order.shop = None


def test_records_that_refer_back_to_who_has_another_index_of_them_are_worth_what_they_hold_and_not_all_the_others():
    class Shop:
        def __init__(self):
            self.orders, self.by_number = [], {}
    shop = Shop()
    for number in range(5000):
        order = types.SimpleNamespace(shop=shop, number=number, body=bytearray(1000))
        shop.orders.append(order)
        shop.by_number[number] = order
    everything = gc.get_objects()
    worth = records.worth(shop.by_number, records.modules(), time.monotonic() + 5) / 5000
    assert 300 < worth < 2500, worth        # half of it, as another list holds it too; and it was 1.4 MB
    del everything


def test_the_worth_of_records_costs_no_more_than_its_time():
    kept = [[[[bytes(10) for _ in range(20)] for _ in range(20)]] * 1 for number in range(600)]
    many = [list(kept) for _ in range(200)]
    now, objects, containers = census.take(5.0)
    began = time.monotonic()
    census.grown_containers(containers, None, 20, 0.1)
    assert time.monotonic() - began < 0.4
    del many


# Each in a process of its own: the heap of this one is whatever earlier tests made of it.
def measured(code):
    if malloc.info() is None:
        pytest.skip("another allocator serves")
    head = "import gc\nfrom plimsoll_agent import memory\n" \
           "def told():\n    sample = memory.Memory().sample()\n    return sample['anon'], sample['malloc_free']\n"
    done = subprocess.run([sys.executable, "-c", head + code], cwd=HERE, stdout=subprocess.PIPE, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_what_fills_a_hole_of_the_heap_shows_in_resident_memory_less_what_is_free():
    resident, used, kept = measured(
        "holes = [bytearray(30_000) for _ in range(2000)]\n"
        "between = holes[1::2]\n"              # keeps the holes from becoming one, which would be given back
        "del holes; gc.collect(); told()\n"
        "anon, free = told()\n"
        "kept = [bytearray(3000) for _ in range(5000)]\n"
        "after, left = told()\n"
        "print(after - anon, after - left - anon + free, len(kept) * 3000)\n")
    assert abs(used - kept) < kept * 0.05
    assert resident < kept * 0.5


def test_the_end_of_the_heap_that_nobody_has_touched_is_not_taken_for_memory():
    steps = measured(
        "kept, levels = [], []\n"
        "for _ in range(64):\n"                # 15,000 bytes at a time; the heap grows by 132 KiB at a time
        "    kept.extend(bytearray(1500) for _ in range(10))\n"
        "    anon, free = told()\n"
        "    levels.append(anon - free)\n"
        "print(*(after - before for before, after in zip(levels[8:], levels[9:])))\n")
    assert max(steps) - min(steps) < 40_000, steps


def test_after_a_trim_nobody_knows_how_much_of_what_is_free_is_memory():
    free, trimmed = measured(
        "from plimsoll_agent.capture import malloc\n"
        "free = told()[1]\n"
        "malloc.trim()\n"
        "print(free, int(told()[1] is None))\n")
    assert free >= 0
    assert trimmed == 1


COUNTED_WHILE_IT_SERVES = """
import json, sys, threading, time
sys.path.insert(0, sys.argv[1])
from plimsoll_agent.capture import phases
if sys.argv[2] == "uwsgi":
    sys.modules["uwsgi"] = sys
rows = [[number + 1000] for number in range(int(sys.argv[3]))]

class Task:
    args = {}
    left = staticmethod(lambda: 10)

told, turns = [], []

def count():
    try:
        told.append(phases.count_types(Task)["types"]["list"]["count"])
    except phases.CommandError as error:
        told.append(str(error))

thread = threading.Thread(target=count)
thread.start()
while thread.is_alive():
    turns.append(time.perf_counter())
    time.sleep(0.001)                       # a request comes now and then
print(json.dumps([told[0], max((after - before for before, after in zip(turns, turns[1:])), default=0)]))
"""


@pytest.mark.parametrize("server,count", [("gunicorn", 700000), ("uwsgi", 150000)])
def test_a_worker_that_serves_is_counted_without_a_pause(server, count):
    def counted():
        return json.loads(subprocess.check_output([sys.executable, "-c", COUNTED_WHILE_IT_SERVES, HERE, server, str(count)]).decode())
    tries = [counted() for _ in range(3)]   # the machine has its own pauses
    assert all(told >= count for told, _ in tries)
    assert min(pause for _, pause in tries) < 0.05, tries


def test_a_sibling_that_did_not_count_what_is_frozen_is_compared_only_with_a_census_that_did_not_either():
    now, rows = {"list": {"count": 5, "bytes": 500}}, [{"type": "list"}]
    told = {"list": {"count": 3, "bytes": 300}, "requests": 10}
    difference = [{"type": "list", "delta": 2, "delta_bytes": 200}]
    assert siblings.Sibling(told).differences(now, rows, frozen=0) == siblings.Sibling(dict(told, frozen=0)).differences(now, rows, 0) == difference
    assert siblings.Sibling(dict(told, frozen=9)).differences(now, rows, frozen=0) is None
    assert siblings.Sibling(dict(told, frozen=9)).differences(now, rows, frozen=9) == difference


@pytest.mark.parametrize("server,count", [("gunicorn", 1500000), ("uwsgi", 500000)])
def test_a_worker_whose_heap_is_too_large_for_that_says_so(server, count):
    text = subprocess.check_output([sys.executable, "-c", COUNTED_WHILE_IT_SERVES, HERE, server, str(count)]).decode()
    assert "too large" in json.loads(text)[0]
