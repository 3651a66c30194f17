"""kill -9 of Plimsoll itself, and what the next start makes of it."""
import os
import signal
import threading

import pytest
from harness import processes
from harness.admin import story
from harness.fleets import fleet, gunicorn
from harness.load import Load, verdict
from harness.waiting import PATIENCE, until

pytestmark = pytest.mark.asan


def crash_in_the_middle_of_a_recycle(proxy):
    """A request of some seconds holds the drain open; the crash comes within it. The incident's id."""
    def slow():
        try:
            proxy.get("/echo/slow?size=1&pause=3")
        except Exception:                                      # the proxy dies under it: that is the point
            pass
    threading.Thread(target=slow, daemon=True).start()
    busy = until(lambda: [worker for worker in proxy.admin.workers() if worker["in_flight"]], 5, "the request has begun")[0]
    incident = proxy.admin.act("recycle", busy["id"]).json["incident"]
    until(lambda: proxy.admin.worker(busy["id"])["state"] == "draining", 20, "it drains")
    proxy.crash()
    return incident


@pytest.mark.parametrize("kind", ["sync", "gthread", "asgi", "command-uvicorn", "uvicorn-workers"])
def test_a_crash_in_a_recycle_leaves_no_orphan_and_loses_no_incident(plimsoll, kind):
    proxy = plimsoll(fleet(kind)).start()
    proxy.wait_serving(4)
    identity = crash_in_the_middle_of_a_recycle(proxy)
    old = processes.marked(proxy.mark)
    proxy.start()
    proxy.wait_serving(4)
    until(lambda: not set(old) & set(processes.marked(proxy.mark)), 30, "the first fleet is gone: %r" % old)
    incident = proxy.admin.incident(identity)
    assert incident["state"] == "abandoned", incident
    assert "restart" in story(incident).lower() or "abandoned" in story(incident).lower(), story(incident)
    with Load(proxy.address, connections=8, timeout=30 * PATIENCE, seed=2) as load:
        load.run_until(300, bound=60 * PATIENCE)
    verdict(load, proxy.ledger).check()
    assert proxy.recycle(proxy.admin.serving()[0]["id"])["recycle"]["outcome"] == "done"


def test_a_fleet_that_plimsoll_did_not_start_survives_its_crash(plimsoll):
    proxy = plimsoll({"pool": [{"name": "app", "source": {"kind": "gunicorn"}, "recycle": {"max_per_hour": 1000}}]})
    outside = proxy.beside(gunicorn("sync", 3), environment={"PLIMSOLL_CONTROL": "unix:%s" % proxy.control})
    proxy.start()
    proxy.wait_serving(3)
    identity = crash_in_the_middle_of_a_recycle(proxy)
    proxy.start()
    workers = proxy.wait_serving(3, bound=45)
    assert outside.poll() is None
    assert proxy.admin.incident(identity)["state"] == "abandoned"
    children = lambda: {pid for pid in processes.marked(proxy.mark) if processes.parent_of(pid) == outside.pid}   # noqa: E731
    until(lambda: children() == {worker["pid"] for worker in proxy.admin.workers()}, 30, "no worker serves nobody")
    assert len(workers) == 3
    with Load(proxy.address, connections=8, timeout=30 * PATIENCE, seed=2) as load:
        load.run_until(300, bound=60 * PATIENCE)
    verdict(load, proxy.ledger).check()


def test_a_server_that_dies_is_started_again(plimsoll):
    """The arbiter itself is killed: all workers end with it, and Plimsoll brings a new one up."""
    proxy = plimsoll(fleet("sync", workers=2)).start()
    first = proxy.wait_serving(2)[0]
    arbiter = processes.parent_of(first["pid"])
    old = {worker["pid"] for worker in proxy.admin.workers()}
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: len(proxy.admin.serving()) == 2 and not old & {worker["pid"] for worker in proxy.admin.serving()}, 60,
          "two new workers serve", pause=0.05)
    assert proxy.get("/echo/1?size=3").status == 200
    until(lambda: not old & set(processes.marked(proxy.mark)), 30, "the old workers are gone")
