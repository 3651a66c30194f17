"""What the agent and its evidence cost, each asked of a real process.

    idle       CPU and memory of a gunicorn worker with the agent, idle, against one without
    pauses     phase A and phase B on a heap of 1 GiB: the longest time in which the application's thread had no turn
    trim       what the agent's trim gives back of what glibc can, in heaps with holes
"""
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
AGENT = os.path.join(HERE, "..", "..", "..", "agent")
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_and_anonymous(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rpartition(")")[2].split()
    with open("/proc/%d/statm" % pid) as file:
        pages = file.read().split()
    return (int(fields[11]) + int(fields[12])) / TICKS, (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")


def idle(seconds):
    """(share of a CPU, bytes) that the agent adds, between the medians of three workers with it and three without."""
    from harness import fleets
    from harness.proxy import Proxy
    found = {}
    for agent in (False, True):
        config = fleets.fleet("sync", 3, "echo:wsgi")
        proxy = Proxy(config, {} if agent else {"PLIMSOLL_AGENT": "off"})
        try:
            if agent:
                proxy.start()
                pids = [worker["pid"] for worker in proxy.wait_serving(3)]
            else:
                command = config["pool"][0]["source"]["command"]
                server = proxy.beside(command)
                pids = children(server.pid, 3)
            time.sleep(4)                                      # boot, and the census at boot
            before = [cpu_and_anonymous(pid) for pid in pids]
            time.sleep(seconds)
            after = [cpu_and_anonymous(pid) for pid in pids]
            used = sorted((late[0] - early[0]) / seconds for early, late in zip(before, after))
            found[agent] = used[1], sorted(memory for _, memory in after)[1]
        finally:
            if proxy.process and proxy.process.poll() is None:
                proxy.tell_to_stop()
                proxy.process.wait(60)
            for other in proxy.others:
                other.terminate()
            proxy.clean_up()
    return found[True][0] - found[False][0], found[True][1] - found[False][1]


def children(pid, count):
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            found = [int(word) for word in file.read().split()]
        if len(found) == count:
            return found
        time.sleep(0.05)
    raise AssertionError("no %d workers" % count)


def in_process(what, *arguments):
    """This file's function of that name, in an interpreter of its own; what it prints is JSON."""
    run = subprocess.run([sys.executable, os.path.abspath(__file__), what, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout)


class Task:
    """Takes what a command sends."""

    def __init__(self, deadline, **args):
        self.args, self.ends, self.files = args, time.monotonic() + deadline, {}

    def left(self):
        return self.ends - time.monotonic()

    def file(self, name, content):
        self.files[name] = content


def longest_pause(function):
    """Runs it in a thread, as the agent does; the longest that this thread had no turn meanwhile, the whole time, and its answer."""
    done, answer = threading.Event(), []

    def run():
        answer.append(function())
        done.set()
    began = last = time.monotonic()
    thread = threading.Thread(target=run)
    thread.start()
    longest = 0.0
    while not done.is_set():
        time.sleep(0.0005)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    thread.join()
    return max(longest, time.monotonic() - last), time.monotonic() - began, answer[0]


def heap(size):
    """Rows of an application: dicts, lists, instances and strings, `size` bytes in all."""
    class Row:
        def __init__(self, number):
            self.number, self.name, self.tags = number, "name %d" % number, ["tag", str(number)]
    from plimsoll_agent import memory
    kept, base = [], memory.statm()["anon"]
    while memory.statm()["anon"] - base < size:
        for number in range(5000):
            kept.append({"row": Row(number), "text": ("%d " % number) * 60, "cells": [float(number + each) for each in range(10)]})
    return kept


def pauses(size):
    from plimsoll_agent.capture import boot, phases
    boot.remember()
    kept = heap(int(size))
    pause_a, _, _ = longest_pause(lambda: phases.capture_a(Task(3)))
    used = time.process_time()
    _, whole_b, data = longest_pause(lambda: phases.capture_b(Task(10)))
    return {"a": pause_a, "b": whole_b, "b_cpu": time.process_time() - used, "missed": data["missed"], "rows": len(kept)}


def trim(seed):
    """Batches of which little stays; then the agent's trim, and after it glibc is asked once more for what it still has."""
    import ctypes
    import random
    from plimsoll_agent import memory
    from plimsoll_agent.capture import phases
    draw = random.Random(int(seed))
    held = [bytearray(draw.randrange(600, 30000)) for _ in range(12000)]
    kept = draw.sample(held, 120)
    del held
    before = memory.statm()["anon"]
    phases.trim(Task(5))
    after = memory.statm()["anon"]
    ctypes.CDLL(None).malloc_trim(0)
    last = memory.statm()["anon"]
    return {"given": before - after, "possible": before - last, "kept": len(kept)}


if __name__ == "__main__":
    sys.path.insert(0, AGENT)
    print(json.dumps({"pauses": pauses, "trim": trim}[sys.argv[1]](*sys.argv[2:])))
