"""Recycling under load: nobody outside notices."""
import threading

import pytest
from harness.admin import ask, story
from harness.fleets import KINDS, UWSGI, fleet, pool
from harness.load import Load, verdict
from harness.proxy import free_port
from harness.waiting import PATIENCE, until

WORKERS = 4


def requests_and_recycles(soak):
    return (100_000, 24) if soak else (6_000, 6)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.asan) if kind in ("sync", "asgi", "command-uvicorn") else kind
                                  for kind in KINDS])
def test_a_recycle_loses_no_request(plimsoll, soak, kind):
    proxy = plimsoll(fleet(kind, workers=WORKERS)).start()
    proxy.wait_serving(WORKERS)
    requests, recycles = requests_and_recycles(soak)
    incidents = []
    with Load(proxy.address, connections=32, timeout=30 * PATIENCE) as load:
        for number in range(recycles):
            before = {worker["id"]: worker for worker in proxy.admin.workers()}
            target = proxy.admin.serving()[number % WORKERS]["id"]
            incident = proxy.recycle(target)
            incidents.append(incident)
            assert incident["recycle"]["outcome"] == "done", story(incident)
            assert incident["recycle"]["lost"] == 0, story(incident)
            proxy.wait_serving(WORKERS)
            after = {worker["id"]: worker for worker in proxy.admin.workers()}
            assert set(after) == set(before), "a place was lost or a new one invented"
            assert after[target]["generation"] == before[target]["generation"] + 1
            assert after[target]["pid"] != before[target]["pid"], "it is the same process"
            kept = [name for name in before if name != target]
            assert [after[name]["pid"] for name in kept] == [before[name]["pid"] for name in kept], "another worker was ended too"
        load.run_until(requests, bound=900 * PATIENCE)
    said = verdict(load, proxy.ledger)
    print("%s: %s; %d recycles; p50 %.1f ms, p99 %.1f ms, slowest %.0f ms" % (
        kind, said, len(incidents), load.percentile(.5) * 1e3, load.percentile(.99) * 1e3, load.percentile(1) * 1e3))
    said.check()
    assert len(load.pids) >= WORKERS + len(incidents) - 1, "the successors did not get their share of the work"


@pytest.mark.parametrize("kind", UWSGI)
def test_the_agent_of_an_idle_uwsgi_worker_answers(plimsoll, kind):
    """It needs the interpreter's lock, which a uWSGI without threads keeps while it waits."""
    proxy = plimsoll(fleet(kind, workers=2)).start()
    target = proxy.wait_serving(2)[0]
    until(lambda: proxy.admin.worker(target["id"])["agent"]["connected"], 20, "its agent has dialled")
    incident = proxy.recycle(target["id"])
    told = story(incident)
    assert incident["recycle"]["outcome"] == "done" and "did not answer" not in told and "silent" not in told, told


@pytest.mark.parametrize("kind", UWSGI)
def test_a_uwsgi_tells_of_each_worker_how_many_requests_it_has_served_whoever_sent_them(plimsoll, kind):
    own = free_port()
    proxy = plimsoll(fleet(kind, workers=2, arguments=["--http-socket", "127.0.0.1:%d" % own])).start()
    proxy.wait_serving(2)
    for _ in range(10):
        assert proxy.get("/pid").status == 200
    for _ in range(5):
        assert ask("127.0.0.1:%d" % own, "GET", "/pid").status == 200
    def counted():
        workers = proxy.admin.workers()
        given, served = (sum(worker[what] for worker in workers) for what in ("requests", "server_requests"))
        return served >= 15 and (given, served)
    given, served = until(counted, 10, "its stats server tells of all of them")
    assert given == 10
    assert served < 40, "beside them only what asked whether they are ready"
    most = max(proxy.admin.workers(), key=lambda worker: worker["server_requests"])
    assert proxy.recycle(most["id"])["recycle"]["outcome"] == "done"
    proxy.wait_serving(2)
    until(lambda: 0 < (proxy.admin.worker(most["id"])["server_requests"] or 0) < most["server_requests"], 10, "the next process counts anew")


@pytest.mark.parametrize("kind", ["sync", "gthread", "asgi"])
def test_a_long_stream_outlives_the_recycle_of_its_worker(plimsoll, kind):
    """The drain waits for what is in flight: an answer of three seconds is not cut."""
    app = "streams:asgi" if kind == "asgi" else "faulty:wsgi"
    proxy = plimsoll(fleet(kind, workers=2, app=app)).start()
    proxy.wait_serving(2)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(proxy.get("/stream/60", timeout=60)))
    thread.start()
    busy = until(lambda: [worker for worker in proxy.admin.workers() if worker["in_flight"]], 5, "the stream has begun")[0]
    incident = proxy.recycle(busy["id"])
    thread.join()
    assert answers[0].status == 200
    assert answers[0].body == b"".join(b"%08d\n" % number for number in range(60))
    assert incident["recycle"]["outcome"] == "done", story(incident)


@pytest.mark.parametrize("kind", ["sync", "command-uvicorn"])
def test_a_successor_that_boots_slowly_costs_no_capacity(plimsoll, kind):
    proxy = plimsoll(fleet(kind, workers=3), environment={"BOOT_SECONDS": "3"}).start()
    target = proxy.wait_serving(3, bound=60)[0]
    with Load(proxy.address, connections=8, timeout=30 * PATIENCE) as load:
        identity = proxy.admin.act("recycle", target["id"]).json["incident"]
        fewest = 3
        while proxy.admin.incident(identity)["state"] == "open":
            states = [worker["state"] for worker in proxy.admin.workers()]
            if not set(states) & {"draining", "capturing", "ending"}:   # before and after the drain, all three serve
                fewest = min(fewest, states.count("serving") + states.count("suspect"))
        assert fewest == 3
        assert proxy.admin.incident(identity)["recycle"]["outcome"] == "done", story(proxy.admin.incident(identity))
    verdict(load, proxy.ledger).check()
    assert load.percentile(1) < 2 * PATIENCE, "somebody waited %.1f s" % load.percentile(1)


@pytest.mark.parametrize("kind", ["sync", "asgi", "command-uvicorn"])
def test_a_fleet_of_one_is_recycled_without_a_failed_request(plimsoll, kind):
    proxy = plimsoll(fleet(kind, workers=1)).start()
    proxy.wait_serving(1)
    with Load(proxy.address, connections=8, timeout=30 * PATIENCE) as load:
        for _ in range(3):
            incident = proxy.recycle(proxy.wait_serving(1)[0]["id"])
            assert incident["recycle"]["outcome"] == "done", story(incident)
        load.run_until(load.requests + 200, bound=60 * PATIENCE)
    verdict(load, proxy.ledger).check()


def test_pools_are_recycled_side_by_side(plimsoll):
    """One recycle a pool at a time, not one in all."""
    proxy = plimsoll({"pool": [pool("sync", workers=2, name="app"), pool("asgi", workers=2, name="api")],
                      "route": [{"path": "/echo/api", "pool": "api"}, {"path": "/", "pool": "app"}]},
                     environment={"BOOT_SECONDS": "1"}).start()
    proxy.wait_serving(2)
    proxy.wait_serving(2, pool="api")
    started = [proxy.admin.act("recycle", proxy.admin.serving(name)[0]["id"], name) for name in ("app", "api")]
    assert [answer.status for answer in started] == [202, 202], started
    for answer in started:
        assert proxy.closed(answer.json["incident"])["recycle"]["outcome"] == "done"


def test_only_one_worker_of_a_pool_is_recycled_at_a_time(plimsoll):
    proxy = plimsoll(fleet("sync", workers=3)).start()
    first, second, _ = proxy.wait_serving(3)
    began = proxy.admin.act("recycle", first["id"])
    assert began.status == 202, repr(began)
    refused = proxy.admin.act("recycle", second["id"])
    assert refused.status == 409, repr(refused)
    assert "another recycle" in refused.json["reason"], refused.json
    assert int(refused.fields["retry-after"]) >= 1
    assert proxy.closed(began.json["incident"])["recycle"]["outcome"] == "done"


def test_recycles_beyond_the_hourly_bound_are_refused(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2, recycle={"max_per_hour": 1})).start()
    first, second = proxy.wait_serving(2)
    assert proxy.recycle(first["id"])["recycle"]["outcome"] == "done"
    proxy.wait_serving(2)
    refused = proxy.admin.act("recycle", second["id"])
    assert refused.status == 429, repr(refused)
    assert "max_per_hour" in refused.json["reason"], refused.json
    assert int(refused.fields["retry-after"]) > 60


def test_a_drained_worker_gets_no_request_until_it_is_undrained(plimsoll):
    proxy = plimsoll(fleet("sync", workers=3)).start()
    target = proxy.wait_serving(3)[0]
    assert proxy.admin.act("drain", target["id"]).status == 202
    until(lambda: proxy.admin.worker(target["id"])["state"] == "draining", 5, "it drains")
    with Load(proxy.address, connections=8, timeout=30 * PATIENCE) as load:
        load.run_until(300, bound=60)
    verdict(load, proxy.ledger).check()
    assert str(target["pid"]) not in load.pids
    assert proxy.admin.act("undrain", target["id"]).status == 202
    proxy.wait_serving(3)
    with Load(proxy.address, connections=8, timeout=30 * PATIENCE, seed=2) as load:
        load.run_until(300, bound=60)
    verdict(load, proxy.ledger).check()
    assert str(target["pid"]) in load.pids


def test_an_action_on_a_worker_that_is_not_there_says_so(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2)).start()
    proxy.wait_serving(2)
    answer = proxy.admin.act("recycle", "app-99")
    assert answer.status == 404, repr(answer)
    assert "app-99" in answer.json["reason"], answer.json
