"""Requests in the background, from as many clients as a test wants, until it has seen what it waits for."""
import http.client
import random
import threading
import time
from contextlib import contextmanager


def _ask(address, stop, shapes, seed, pause, counts):
    draw = random.Random(seed)
    connection = http.client.HTTPConnection(*address, timeout=30)
    while not stop.is_set():
        shape = draw.choices(list(shapes), list(shapes.values()))[0]
        connection.request("GET", shape % draw.randrange(100000) if "%d" in shape else shape)
        answer = connection.getresponse()
        answer.read()
        counts[answer.status // 100] += 1
        time.sleep(pause)
    connection.close()


@contextmanager
def traffic(proxy, shapes, clients=2, pause=0.0):
    """shapes: {"/orders/%d": weight}. Gives the counts of the answers by hundreds of their status."""
    stop, counts = threading.Event(), dict.fromkeys(range(1, 6), 0)
    threads = [threading.Thread(target=_ask, args=(proxy.address, stop, shapes, seed, pause, counts)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()
