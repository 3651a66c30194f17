"""Active health checks of real workers: who says that it is not well gets no requests until it is, and a worker that works is not asked."""
import threading
import time

import pytest
from harness.fleets import fleet
from harness.waiting import PATIENCE, until

CHECKS = {"path": "/health", "expect": "200", "interval": "100ms", "timeout": "2s", "rise": 2, "fall": 2}


@pytest.fixture
def ward(plimsoll, tmp_path):
    """ward(kind, workers) is a running proxy; `ward.ill` the directory of those who are not well, `ward.asked()` who was asked when."""
    (tmp_path / "ill").mkdir()
    asked = tmp_path / "asked"
    asked.touch()

    def make(kind="sync", workers=2, health=CHECKS, **sections):
        app = "wellbeing:asgi" if kind.endswith("uvicorn") else "wellbeing:wsgi"
        proxy = plimsoll(fleet(kind, workers=workers, app=app, health=health, **sections),
                         environment={"ILL": str(tmp_path / "ill"), "ASKED": str(asked)}).start()
        proxy.wait_serving(workers)
        return proxy

    make.ill = tmp_path / "ill"
    make.asked = lambda: [(int(line.split()[0]), float(line.split()[1])) for line in asked.read_text().splitlines()]
    return make


def healthy(proxy):
    return {worker["pid"]: worker["health"]["healthy"] for worker in proxy.admin.workers()}


@pytest.mark.asan
@pytest.mark.parametrize("kind", ["sync", "command-uvicorn"])
def test_a_worker_that_says_it_is_not_well_gets_no_requests_until_it_is(ward, kind):
    proxy = ward(kind)
    sick, well = [worker["pid"] for worker in proxy.admin.workers()]
    (ward.ill / str(sick)).touch()
    until(lambda: not healthy(proxy)[sick], 10, "its checks fail")
    assert {int(proxy.get("/").body) for _ in range(20)} == {well}
    worker = next(worker for worker in proxy.admin.workers() if worker["pid"] == sick)
    assert worker["state"] == "serving" and worker["health"]["last"] == "answered 503, and 200 is expected"
    pool = proxy.admin.read("/v1/status")["pools"][0]
    assert pool["ailing"] == 1 and pool["checks"]["failed"] >= 2 and pool["checks"]["passed"] >= 1
    metrics = proxy.admin.get("/metrics").body.decode()
    assert 'plimsoll_worker_healthy{pool="app",worker="%s"} 0' % worker["id"] in metrics
    told = proxy.cli("status", "--admin", proxy.admin.address).stdout
    assert "app: 1 of 2 workers fail their health checks" in told, told

    (ward.ill / str(sick)).unlink()
    until(lambda: healthy(proxy)[sick], 10, "it is well again")
    until(lambda: int(proxy.get("/").body) == sick, 20, "it gets requests again")
    until(lambda: "worker_ailing" in proxy.log_text() and "worker_well" in proxy.log_text(), 10, "the log tells")


def test_where_all_fail_their_checks_all_are_served(ward):
    proxy = ward()
    for pid in healthy(proxy):
        (ward.ill / str(pid)).touch()
    until(lambda: not any(healthy(proxy).values()), 10, "the checks of both fail")
    assert all(proxy.get("/").status == 200 for _ in range(10))
    assert proxy.admin.read("/v1/status")["gates"][0]["health_panic"] is True


def test_a_worker_with_one_slot_is_not_asked_while_it_works(ward):
    proxy = ward(workers=1)
    until(lambda: len(ward.asked()) > 3, 10, "it is asked while it is idle")
    began = time.time()
    answers = []
    slow = threading.Thread(target=lambda: answers.append(proxy.get("/sleep/2", timeout=30 * PATIENCE).status))
    slow.start()
    until(lambda: proxy.admin.workers()[0]["in_flight"] == 1 and time.time() > began + 0.5, 10, "it works")
    busy_since = time.time()
    before = proxy.admin.read("/v1/status")["pools"][0]["checks"]
    slow.join()
    after = proxy.admin.read("/v1/status")["pools"][0]["checks"]
    assert answers == [200]
    assert after["skipped"] > before["skipped"]
    # gunicorn would have taken them after the slow request: each would stand in the list as soon as that had ended.
    assert not [at for _, at in ward.asked() if busy_since < at < began + 1.9]
    assert healthy(proxy) == {proxy.admin.workers()[0]["pid"]: True}, "a worker that works is not ill"


def test_a_reload_turns_the_checks_on_and_off(ward):
    proxy = ward(health={"path": "/"})
    assert [worker["health"] for worker in proxy.admin.workers()] == [None, None]
    sick = proxy.admin.workers()[0]["pid"]
    (ward.ill / str(sick)).touch()

    def reload(health):
        proxy.config["pool"][0]["health"] = health
        proxy.configure(proxy.config)
        assert proxy.admin.post("/v1/config/reload").status == 200

    reload(CHECKS)
    until(lambda: all(worker["health"] for worker in proxy.admin.workers()) and not healthy(proxy)[sick], 10, "they are asked now")
    reload({**CHECKS, "mode": "shadow"})
    until(lambda: int(proxy.get("/").body) == sick, 10, "in shadow it is told and served")
    assert healthy(proxy)[sick] is False
    reload({"path": "/"})
    until(lambda: [worker["health"] for worker in proxy.admin.workers()] == [None, None], 10, "nobody asks any more")


def test_a_successor_serves_when_it_answers_as_expected(ward):
    proxy = ward(health={**CHECKS, "interval": "1h"})
    target = proxy.admin.workers()[0]["id"]
    incident = proxy.recycle(target)
    assert incident["recycle"]["outcome"] == "done"
    until(lambda: "answered 200" in proxy.log_text(), 10, "the log tells")
