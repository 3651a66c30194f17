"""Routes that come together are told apart by the proxy's experiment: it varies which worker gets which of them."""
import http.client
import threading

import pytest

from harness.fleets import fleet
from harness.waiting import until

pytestmark = pytest.mark.alone
LEFT_BEHIND = 8 << 10


class Browser:
    """Two connections: the page is there when both of its parts are."""

    def __init__(self, address, cookie=None):
        self.connections = [http.client.HTTPConnection(*address, timeout=30) for _ in range(2)]
        self.fields = {"Cookie": cookie} if cookie else {}

    def page(self):
        for connection, path in zip(self.connections, ("/basket", "/prices")):
            connection.request("GET", path, headers=self.fields)
        for connection in self.connections:
            assert connection.getresponse().read()

    def close(self):
        for connection in self.connections:
            connection.close()


class Visit:
    """Pages, one after the other, until the block ends."""

    def __init__(self, address, cookie=None):
        self.browser, self.stop, self.pages = Browser(address, cookie), threading.Event(), 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop.is_set():
            self.browser.page()
            self.pages += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.browser.close()


def shop(plimsoll, affinity=None, app="pairs:wsgi", **leak):
    config = fleet("sync", 2, app=app, memory={"limit": "2GiB", "interval": "100ms"}, leak={"policy": "advise", **leak})
    if affinity:
        config["route"] = [{"path": "/", "pool": "app", "affinity": affinity}]
    proxy = plimsoll(config).start()
    proxy.wait_serving(2)
    return proxy


def memory_leak(proxy):
    return next((leak for leak in proxy.admin.read("/v1/leaks")["leaks"] if leak["what"] == "memory"), None)


def experiment(proxy):
    return proxy.admin.read("/v1/status")["pools"][0]["experiment"]


def bytes_of_the_basket(proxy):
    routes = (memory_leak(proxy) or {}).get("routes") or []
    return routes[0]["bytes_per_request"] if [route["route"] for route in routes] == ["GET /basket"] else 0


# It may be over before the answer is sure, and the answer come by itself: memory is suspected, and not, and again, while a buffer breathes.
@pytest.mark.parametrize("app", ["pairs:wsgi", "pairs:holes"])
def test_of_two_routes_that_come_together_the_one_that_leaks_is_told_when_they_were_varied(plimsoll, app):
    proxy = shop(plimsoll, app=app, experiment_slowdown=1.0)      # what else the machine does must not end it
    with Visit(proxy.address) as visit:
        until(lambda: (experiment(proxy) or {}).get("epochs", 0) > 2 and visit.pages, 120, "an experiment runs")
        assert b"plimsoll_leak_experiment_running{" in proxy.admin.get("/metrics").body
        until(lambda: abs(bytes_of_the_basket(proxy) / LEFT_BEHIND - 1) < 0.15, 240, "its route has the bytes", pause=0.5)
        assert memory_leak(proxy)["experiment"]["varied_requests"] > 0


def test_switched_off_nothing_is_varied(plimsoll):
    proxy = shop(plimsoll, experiments=False)
    with Visit(proxy.address) as visit:
        until(lambda: memory_leak(proxy), 120, "the leak is suspected", pause=0.5)
        seen = visit.pages
        until(lambda: visit.pages > seen + 2000, 120, "traffic goes on", pause=0.5)
    assert experiment(proxy) is None


def test_a_session_stays_with_its_worker_while_an_experiment_runs(plimsoll):
    proxy = shop(plimsoll, affinity="cookie:session")
    served = lambda: {worker["id"]: worker["requests"] for worker in proxy.admin.read("/v1/pools/app/workers")["workers"]}
    with Visit(proxy.address):                                 # without a session: these may be varied
        until(lambda: (experiment(proxy) or {}).get("state") == "running", 120, "an experiment runs", pause=0.2)
    state = experiment(proxy)["state"]
    assert state == "running", state                           # nobody asks any more: nothing ends it
    before = served()
    browser = Browser(proxy.address, cookie="session=one")
    for _ in range(200):                                       # one after the other: its worker is always free
        browser.connections[0].request("GET", "/prices", headers=browser.fields)
        browser.connections[0].getresponse().read()
    browser.close()
    grown = sorted(after - before[worker] for worker, after in served().items())
    assert grown == [0, 200], grown
