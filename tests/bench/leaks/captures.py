"""Recycles of real gunicorn workers under light traffic: what each capture left as evidence, and how long it took.

    full           stacks from before the drain, and a census of the heap
    stacks only    of a worker that holds the GIL for ever: faulthandler's, and its story says that it did not answer

A capture succeeded where it has all that its worker could give. One worker in six is stuck.
"""
import collections
import threading
import time

import lives

SERVERS = ["sync", "gthread"]
STUCK_EVERY = 6
PATHS = ["/pid", "/leak/64", "/pid", "/sleep/0.02"]
PAUSE = 0.02                                # seconds between two requests of a client

# found: full, stacks only, nothing. a, b: seconds of the phases, as the agent's thread saw them; None where it could not tell.
Capture = collections.namedtuple("Capture", "server stuck found succeeded a b story")


def captures(server, count):
    from harness import fleets
    from harness.proxy import Proxy
    recycle = {"drain_timeout": "2s", "capture_timeout": "5s", "end_timeout": "2s"}
    proxy = Proxy(fleets.fleet(server, 3, "faulty:wsgi", recycle=recycle))
    stop = threading.Event()
    clients = [threading.Thread(target=traffic, args=(proxy.port, stop, first)) for first in range(2)]
    found = []
    try:
        proxy.start()
        proxy.wait_serving(3, bound=60)
        for client in clients:
            client.start()
        for number in range(count):
            stuck = number % STUCK_EVERY == STUCK_EVERY - 1
            workers = proxy.wait_serving(3, bound=60)
            worker = stuck_worker(proxy) if stuck else workers[number % 3]["id"]
            found.append(judged(server, stuck, proxy.recycle(worker, bound=90)))
    finally:
        stop.set()
        for client in clients:
            if client.is_alive():
                client.join()
        if proxy.process and proxy.process.poll() is None:
            proxy.tell_to_stop()
            proxy.process.wait(60)
        proxy.clean_up()
    return found


def traffic(port, stop, first):
    client, number = lives.Client(port), first
    while not stop.is_set():
        client.ask(PATHS[number % len(PATHS)])  # what a stuck worker holds fails with it
        number += 1
        time.sleep(PAUSE)


def stuck_worker(proxy):
    """Who has a request in flight at twenty looks in a row: the others' are over between two of them."""
    from harness.waiting import until

    def ask():
        try:
            proxy.get("/hold-the-gil", method="POST", timeout=120)
        except OSError:
            pass                                # it is ended with its worker
    threading.Thread(target=ask, daemon=True).start()
    rows = collections.Counter()

    def found():
        busy = {worker["id"] for worker in proxy.admin.workers() if worker["in_flight"]}
        for name in list(rows):
            if name not in busy:
                del rows[name]
        rows.update(busy)
        return next((name for name, row in rows.items() if row >= 20), None)
    return until(found, 30, "a worker is stuck", pause=0.05)


def judged(server, stuck, incident):
    from harness.admin import story
    files = {each["name"] if isinstance(each, dict) else each for each in incident["capture"]["files"]}
    told, silent = story(incident), ("silent", "did not answer")
    has_stacks = any(name.startswith("stacks") for name in files)
    found = "full" if {"stacks.txt", "census.json"} <= files else "stacks only" if has_stacks else "nothing"
    succeeded = found == "stacks only" and any(word in told for word in silent) if stuck else found == "full"
    return Capture(server, stuck, found, succeeded, incident.get("phase_a_seconds"), incident.get("phase_b_seconds"), told)


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
