"""The window of a trace: it ends whatever happens, and its end is not felt by a worker that serves on."""
import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref

import pytest

AGENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, AGENT)

from plimsoll_agent import commands             # noqa: E402
from plimsoll_agent.capture import holders, lines, phases, trace     # noqa: E402
from plimsoll_agent.task import Task            # noqa: E402


class Connection:
    def __init__(self, broken=False):
        self.sent, self.broken = [], broken

    def send(self, message):
        if self.broken:
            raise OSError("gone")
        self.sent.append(message)


@pytest.fixture(autouse=True)
def no_window():
    yield
    trace.stop()
    assert not tracemalloc.is_tracing()


def task_of(name, connection=None):
    return Task(connection or Connection(), {"id": 1, "name": name, "deadline": 10}, None)


def test_a_trace_whose_deadline_passed_while_lengths_were_noted_is_not_begun(monkeypatch):
    task = task_of("trace_start")
    monkeypatch.setattr(holders, "Lengths", lambda: task.answer(False, error="deadline"))
    begun = []
    monkeypatch.setattr(tracemalloc, "start", begun.append)
    commands.run(task)
    assert not begun and not tracemalloc.is_tracing() and not trace.on() and [message["error"] for message in task.connection.sent] == ["deadline"]


def test_a_trace_that_began_just_after_its_deadline_is_ended(monkeypatch):
    task = task_of("trace_start")

    def late(task):
        data = phases.trace_start(task)
        task.answer(False, error="deadline")
        return data
    monkeypatch.setitem(commands.COMMANDS, "trace_start", late)
    commands.run(task)
    assert not tracemalloc.is_tracing() and not trace.on()


def test_a_trace_that_nobody_hears_of_is_ended():
    commands.run(task_of("trace_start", Connection(broken=True)))
    assert not tracemalloc.is_tracing()


def test_a_late_end_leaves_the_next_window_alone():
    first = trace.start()
    second = trace.start()
    trace.cancel(first)
    assert trace.on() and tracemalloc.is_tracing()
    trace.cancel(second)
    assert not trace.on() and not tracemalloc.is_tracing()


def test_who_asks_for_a_window_gets_one_of_his_own():
    """He counts the requests from now on: what an earlier window saw is not theirs."""
    trace.start()
    earlier = [bytearray(5000) for _ in range(100)]
    trace.start()
    ranked, _ = trace.analyse(trace.stop().traces, 50)
    assert not any(line["file"] == __file__ and line["bytes"] > 100000 for line in ranked), ranked
    del earlier


FORKS_WITHIN_A_WINDOW = """
import os, sys, tracemalloc
sys.path.insert(0, sys.argv[1])
from plimsoll_agent.agent import Agent
from plimsoll_agent.capture import trace
agent = Agent(None, None, None)
trace.start()
with trace._lock:                           # as a command's thread has it
    pid = os.fork()
    if pid == 0:
        os._exit(tracemalloc.is_tracing() + 2 * trace.on() + 4 * trace._lock.locked())
print(os.waitpid(pid, 0)[1] >> 8, tracemalloc.is_tracing())
"""


def test_a_child_that_is_forked_within_a_window_is_not_traced():
    told = subprocess.check_output([sys.executable, "-c", FORKS_WITHIN_A_WINDOW, AGENT], universal_newlines=True)
    assert told == "0 True\n"


def test_a_window_that_holds_too_much_is_closed_and_what_it_saw_is_told():
    window = trace.start(own_memory=500000)
    kept = [bytearray(2000) for _ in range(10000)]
    trace.watch(connected=True)
    assert not tracemalloc.is_tracing() and trace.on()
    later = [bytearray(2000) for _ in range(10000)]
    window.began -= window.taken.seconds    # as long again without tracing
    taken = trace.stop()
    assert 10000 <= len(taken.traces) < 30000 and 0.1 < taken.share < 0.6
    assert trace.stop() is None
    trace.start()
    assert trace.stop().share == 1.0
    del kept, later


def test_a_trace_of_the_applications_own_is_not_ended_with_a_window_that_was_closed_early():
    trace.start(own_memory=1)
    trace.watch(connected=True)
    tracemalloc.start()
    try:
        with pytest.raises(trace.Refused):
            trace.start()
        assert trace.stop() is not None and tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_a_window_that_was_closed_early_is_dropped_when_its_time_is_over():
    trace.start(own_memory=1, seconds=0.05)
    trace.watch(connected=True)
    assert trace.on()
    time.sleep(0.06)
    trace.watch(connected=True)
    assert not trace.on()


class Cycle:
    def __init__(self):
        self.me, self.data = self, bytearray(5000)


def make_cycles(count):
    return [Cycle() for _ in range(count)]


def window_of(work, **how):
    gc.collect()
    trace.start()
    gc.disable()                            # the collector's own turns are not ours to wait for
    work()
    gc.enable()
    return trace.stop(**how)


def test_a_large_heap_is_not_collected_while_it_serves_and_cycles_are_then_held_against_nobody(monkeypatch):
    passes = []
    gc.callbacks.append(lambda phase, info: passes.append(info["generation"]))
    try:
        monkeypatch.setattr(trace, "MOST_BLOCKS", 0)
        leak = []

        def both():
            alive = make_cycles(100)
            gc.collect(0), gc.collect(1)    # they are old by now
            del alive
            leak.extend(bytearray(5000) for _ in range(100))
        ROWS.append(leak)
        leak.extend(range(20))
        del passes[:]
        taken = window_of(both, serves=True)
        assert not taken.collected and 2 not in passes[2:], passes
        ranked, _ = trace.analyse(taken.traces, 20, taken.held)
        lines.reconcile(ranked, 100, 9000, 11000, taken.collected)
        claimed = [line["line"] for line in ranked if line["claimed"]]
        assert claimed == [line_of("leak.extend(bytearray")], ranked
        taken = window_of(lambda: make_cycles(100))
        assert taken.collected and 2 in passes
    finally:
        gc.callbacks.pop()
        ROWS.clear()


ROWS = []


def line_of(text):
    with open(__file__) as source:
        return next(number for number, line in enumerate(source, 1) if text in line)


def test_containers_that_there_was_no_time_to_note_are_unknown_and_not_grown(monkeypatch):
    """A full cache looks like a leak where its length at the start is taken for nothing."""
    cache = dict((number, [bytearray(1000)]) for number in range(300))
    ROWS.append(cache)
    try:
        monkeypatch.setattr(holders, "BUDGET", 0.0)
        trace.start()
        monkeypatch.setattr(holders, "BUDGET", 5.0)
        assert not trace._window.lengths.whole
        trace._window.lengths.of[0] = 8     # it came to one of them
        for number in range(300, 400):
            cache[number] = [bytearray(1000)]
            del cache[number - 300]
        taken = trace.stop()
        ranked, _ = trace.analyse(taken.traces, 20, taken.held)
        assert not any(line["file"] == __file__ and line["added"] for line in ranked), ranked
    finally:
        ROWS.clear()


def test_classes_of_the_application_may_die_after_the_look():
    kept = []
    trace.start()
    kept.extend(type("Made", (), {})() for _ in range(20))
    assert trace.stop() is not None
    died = [weakref.ref(type(each)) for each in kept]
    kept.clear()
    gc.collect()
    assert [each() for each in died] == [None] * 20


def test_others_get_their_turns_while_a_snapshot_is_written():
    frames = [((__file__, number),) for number in range(1000)]
    traces = [(0, number, frames[number % 1000], 1) if sys.version_info >= (3, 9) else (0, number, frames[number % 1000])
              for number in range(300000)]
    turns, done = [], threading.Event()

    def others():
        while not done.is_set():
            turns.append(time.perf_counter())
    thread = threading.Thread(target=others)
    thread.start()
    began = time.perf_counter()
    text = trace.snapshot(traces, 1)
    ended = time.perf_counter()
    done.set()
    thread.join()
    marks = [began] + [turn for turn in turns if began < turn < ended] + [ended]
    longest = max(after - before for before, after in zip(marks, marks[1:]))
    assert len(text) > 1 << 20 and longest < (ended - began) / 2, (longest, ended - began)
