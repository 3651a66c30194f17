"""Asynchronous workers that nobody tells the slots of: how many requests they have at once is learned from real uvicorns."""
import threading
import time

from harness.fleets import fleet
from harness.waiting import PATIENCE, until


def clients(proxy, path, count, seconds):
    """A closed loop of `count` clients; what they got by status."""
    end, statuses, lock = time.monotonic() + seconds * PATIENCE, {}, threading.Lock()

    def loop():
        while time.monotonic() < end:
            status = proxy.get(path, timeout=60 * PATIENCE).status
            with lock:
                statuses[status] = statuses.get(status, 0) + 1

    threads = [threading.Thread(target=loop) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, statuses


def learned(proxy):
    return [worker["learned_slots"]["slots"] for worker in proxy.admin.workers()]


def test_a_loop_that_waits_is_given_more_at_once(plimsoll):
    proxy = plimsoll(fleet("command-uvicorn", workers=1, app="wellbeing:asgi")).start()
    proxy.wait_serving(1)
    assert learned(proxy) == [8]
    threads, statuses = clients(proxy, "/sleep/0.1", 40, 12)
    until(lambda: learned(proxy)[0] > 16, 12, "what only waits is given more at once")
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    worker = proxy.admin.workers()[0]
    assert worker["slots"] >= 1
    assert 'plimsoll_worker_learned_slots{pool="app",worker="app-1"}' in proxy.admin.get("/metrics").body.decode()


def test_slots_that_somebody_says_are_not_learned(plimsoll):
    proxy = plimsoll(fleet("command-uvicorn", workers=1, app="wellbeing:asgi", source={"slots": 3})).start()
    proxy.wait_serving(1)
    worker = proxy.admin.workers()[0]
    assert worker["slots"] == 3 and worker["learned_slots"] is None
