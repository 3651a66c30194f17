"""Workers that die, hang, lie or can't be replaced: what the clients see, and the story that is told afterwards."""
import asyncio
import http.client
import os
import signal
import sys
import threading
import time

import pytest
from harness import processes
from harness.admin import story
from harness.fleets import fleet, gunicorn
from harness.load import ONE_SEGMENT, Load, verdict
from harness.proxy import APPS
from harness.waiting import PATIENCE, until
from harness.wire import Torn, connect

pytestmark = pytest.mark.asan

QUICK = {"drain_timeout": "2s", "capture_timeout": "3s", "end_timeout": "1s", "ready_timeout": "20s"}


def incidents_of(proxy, trigger):
    return [incident for incident in proxy.admin.incidents() if incident["trigger"] == trigger]


@pytest.mark.parametrize("kind, slots", [("sync", 1), ("gthread", 4), ("asgi", 32), ("command-uvicorn", 32)])
def test_a_killed_worker_fails_only_what_was_in_flight_on_it(plimsoll, kind, slots):
    kills = 3
    proxy = plimsoll(fleet(kind)).start()
    proxy.wait_serving(4)
    with Load(proxy.address, connections=32, sizes=ONE_SEGMENT, timeout=30 * PATIENCE) as load:
        for number in range(kills):
            load.run_until(load.requests + 400, bound=60 * PATIENCE)
            victim = proxy.admin.serving()[number]
            os.kill(victim["pid"], signal.SIGKILL)
            until(lambda: len(incidents_of(proxy, "death")) == number + 1, 10, "the death is told")
            proxy.wait_serving(4)
        load.run_until(load.requests + 400, bound=60 * PATIENCE)
    said = verdict(load, proxy.ledger)
    print(said)
    assert not said.torn and not said.unexecuted, str(said)
    assert len(said.failed) + len(said.cut) <= slots * kills, str(said)
    assert all(failure.status == 502 for failure in said.failed), str(said)
    assert all(len(failure.reason) > len("502 ") for failure in said.failed), str(said)
    assert all(failure.method == "POST" for failure in said.failed), "an idempotent request was not retried: %s" % said
    assert not said.posts_duplicated, "a POST was sent twice: %s" % said
    for incident in incidents_of(proxy, "death"):
        assert "SIGKILL" in incident["verdict"], incident["verdict"]


def test_a_worker_that_takes_long_to_die_takes_no_second_request_along(plimsoll):
    """The kernel closes its connections first, its listener last: between the two it looks like the least busy worker of all."""
    command = [sys.executable, str(APPS / "lingering.py"), "{socket}"]
    proxy = plimsoll({"pool": [{"name": "app", "source": {"kind": "command", "workers": 2, "command": command, "slots": 1}}]})
    proxy.start()
    proxy.wait_serving(2)
    killed = threading.Thread(target=proxy.get, args=("/die",), kwargs={"method": "POST"})
    killed.start()
    answers = []
    bound = time.monotonic() + 20 * PATIENCE
    while (not incidents_of(proxy, "death") or len(answers) < 50) and time.monotonic() < bound:
        answers.append(proxy.get("/", method="POST"))
    assert incidents_of(proxy, "death"), "nobody died"
    killed.join()
    assert [answer for answer in answers if answer.status != 200] == []


def test_a_worker_that_exits_within_a_request_is_replaced_and_its_exit_code_told(plimsoll):
    """Exit code 3 is what makes a stock gunicorn halt with all its workers."""
    proxy = plimsoll(fleet("sync", workers=3, app="faulty:wsgi")).start()
    proxy.wait_serving(3)
    answer = proxy.get("/exit/3", method="POST")
    assert answer.status == 502, repr(answer)
    incident = until(lambda: incidents_of(proxy, "death"), 10, "the death is told")[0]
    assert "exit code 3" in incident["verdict"], incident["verdict"]
    proxy.wait_serving(3)
    assert proxy.get("/pid").status == 200


@pytest.mark.parametrize("kind", ["sync", "command-uvicorn"])
def test_a_worker_that_ignores_sigterm_is_ended_by_the_ladder(plimsoll, kind):
    app = "stubborn:asgi" if kind == "command-uvicorn" else "faulty:wsgi"
    proxy = plimsoll(fleet(kind, workers=3, app=app, recycle=QUICK)).start()
    proxy.wait_serving(3)
    pid = int(proxy.get("/ignore-term").body)
    target = next(worker for worker in proxy.admin.workers() if worker["pid"] == pid)
    incident = proxy.recycle(target["id"])
    assert incident["recycle"]["outcome"] == "done", story(incident)
    assert not processes.alive(pid)
    assert "ABRT" in story(incident) or "KILL" in story(incident), story(incident)
    proxy.wait_serving(3)


def test_a_stopped_worker_is_recycled(plimsoll):
    proxy = plimsoll(fleet("sync", workers=3, recycle=QUICK)).start()
    target = proxy.wait_serving(3)[0]
    os.kill(target["pid"], signal.SIGSTOP)
    incident = proxy.recycle(target["id"])
    assert incident["recycle"]["outcome"] == "done", story(incident)
    assert "SIGCONT" in story(incident) or "KILL" in story(incident), story(incident)
    assert not processes.alive(target["pid"])
    proxy.wait_serving(3)
    with Load(proxy.address, connections=8) as load:
        load.run_until(200, bound=60 * PATIENCE)
    verdict(load, proxy.ledger).check()


def test_a_request_to_a_stopped_worker_times_out_with_a_reason(plimsoll):
    proxy = plimsoll(fleet("sync", workers=1, recycle={**QUICK, "min_serving": 0}, upstream={"response_timeout": "1s"})).start()
    target = proxy.wait_serving(1)[0]
    os.kill(target["pid"], signal.SIGSTOP)
    began = time.monotonic()
    answer = proxy.get("/echo/1?size=1", method="POST", body=b"x")
    assert answer.status == 504, repr(answer)
    assert 0.9 < time.monotonic() - began < 5 * PATIENCE
    assert answer.body, "no reason"
    os.kill(target["pid"], signal.SIGCONT)


@pytest.mark.parametrize("whose", ["ours", "of somebody else"])
def test_a_worker_that_holds_the_gil_still_gives_its_stacks(plimsoll, whose):
    """Of a server that somebody else started the file lies where its agent says."""
    if whose == "ours":
        proxy = plimsoll(fleet("sync", workers=3, app="faulty:wsgi", recycle=QUICK)).start()
    else:
        proxy = plimsoll({"pool": [{"name": "app", "source": {"kind": "gunicorn"}, "recycle": QUICK}]})
        proxy.beside(gunicorn("sync", 3, app="faulty:wsgi"), environment={"PLIMSOLL_CONTROL": "unix:%s" % proxy.control})
        proxy.start()
    proxy.wait_serving(3)
    answers = []
    stuck = threading.Thread(target=lambda: answers.append(proxy.get("/hold-the-gil", method="POST", timeout=90)))   # a GET is tried again
    stuck.start()
    busy = until(lambda: [worker for worker in proxy.admin.workers() if worker["in_flight"]], 5, "the request has begun")[0]
    incident = proxy.recycle(busy["id"])
    stuck.join()
    assert incident["recycle"]["outcome"] == "done", story(incident)
    assert incident["recycle"]["lost"] == 1, story(incident)
    assert answers[0].status in (502, 504) and answers[0].body, repr(answers[0])
    assert not processes.alive(busy["pid"])
    stacks = [name for name in incident["capture"]["files"] if "stacks" in name_of(name)]
    assert stacks, "no stacks among %r\n%s" % (incident["capture"]["files"], story(incident))
    assert any(b"hold_the_gil" in proxy.admin.file(incident["id"], name_of(name)) for name in stacks)
    proxy.wait_serving(3)


def name_of(file):
    return file["name"] if isinstance(file, dict) else file


def test_a_capture_that_hangs_delays_nothing_beyond_its_deadline(plimsoll):
    proxy = plimsoll(fleet("sync", workers=3, app="faulty:wsgi", recycle=QUICK)).start()
    proxy.wait_serving(3)
    pid = int(proxy.get("/hang-collect/60").body)
    target = next(worker for worker in proxy.admin.workers() if worker["pid"] == pid)
    began = time.monotonic()
    incident = proxy.recycle(target["id"])
    assert time.monotonic() - began < 15 * PATIENCE, story(incident)
    assert incident["recycle"]["outcome"] == "done", story(incident)
    assert incident["capture"]["status"] in ("partial", "failed"), story(incident)
    assert "in time" in story(incident), story(incident)
    proxy.wait_serving(3)


@pytest.mark.parametrize("kind", ["sync", "asgi", "command-uvicorn"])
def test_a_release_that_cannot_be_imported_costs_nothing_but_the_recycle(plimsoll, kind):
    proxy = plimsoll(fleet(kind, recycle={**QUICK, "ready_timeout": "6s"}))
    broken = proxy.directory / "broken"
    proxy.environment["BROKEN"] = str(broken)
    proxy.start()
    before = {worker["id"]: worker["pid"] for worker in proxy.wait_serving(4)}
    with Load(proxy.address, connections=16, timeout=30 * PATIENCE) as load:
        broken.touch()
        incident = proxy.recycle("app-2" if "app-2" in before else sorted(before)[1], bound=90)
        assert incident["recycle"]["outcome"] != "done", story(incident)
        assert {worker["id"]: worker["pid"] for worker in proxy.admin.serving()} == before, "a worker was sacrificed"
        assert proxy.admin.read("/v1/pools/app")["alert"], "nobody is told"
        load.run_until(load.requests + 400, bound=60 * PATIENCE)
        broken.unlink()
        def mended():
            answer = proxy.admin.act("recycle", sorted(before)[1])
            return answer.status == 202 and proxy.closed(answer.json["incident"])["recycle"]["outcome"] == "done"
        until(mended, 60, "it recycles again once the code is mended", pause=0.5)
        proxy.wait_serving(4)
        assert not proxy.admin.read("/v1/pools/app").get("alert")
    verdict(load, proxy.ledger).check()


def test_a_death_while_the_code_is_broken_leaves_the_others_serving_and_heals(plimsoll):
    proxy = plimsoll(fleet("sync", recycle=QUICK))
    broken = proxy.directory / "broken"
    proxy.environment["BROKEN"] = str(broken)
    proxy.start()
    victim = proxy.wait_serving(4)[0]
    broken.touch()
    os.kill(victim["pid"], signal.SIGKILL)
    until(lambda: len(proxy.admin.serving()) == 3, 10, "three are left")
    with Load(proxy.address, connections=8, timeout=30 * PATIENCE, seed=2) as load:
        load.run_until(2000, bound=120 * PATIENCE)             # several boots fail meanwhile
        assert len(proxy.admin.serving()) == 3
    verdict(load, proxy.ledger).check()
    broken.unlink()
    proxy.wait_serving(4, bound=30)


@pytest.fixture
def scripted(plimsoll):
    """Plimsoll in front of two scripted workers, and the file in which they write down each request line that they saw."""
    proxy = plimsoll()
    seen = proxy.directory / "seen"
    sockets = [str(proxy.directory / name) for name in ("a.sock", "b.sock")]
    for path in sockets:
        proxy.beside([sys.executable, APPS / "scripted.py", path], environment={"SEEN": str(seen)})
    until(lambda: all(os.path.exists(path) for path in sockets), 10, "the scripted workers listen")
    proxy.configure({"pool": [{"name": "app", "source": {"kind": "static", "slots": 4,
                                                        "addresses": ["unix:" + path for path in sockets]},
                               "health": {"path": "/whole"}}]})
    proxy.start()
    return proxy, seen


async def one_after_another(address, path):
    """What a client on one connection gets for `path`, then for an honest request on the same connection if it stays."""
    wire = await connect(address)
    wire.transport.write(b"GET %b HTTP/1.1\r\nHost: lies.test\r\n\r\n" % path.encode())
    try:
        first = await wire.response()
    except Torn as reason:
        return reason, None
    if first.closes():
        wire.transport.abort()
        wire = await connect(address)
    wire.transport.write(b"GET /whole HTTP/1.1\r\nHost: lies.test\r\n\r\n")
    second = await wire.response()
    wire.transport.abort()
    return first, second


@pytest.mark.parametrize("path", ["/hang-up", "/half-head", "/garbage", "/two-lengths", "/short", "/bad-chunk", "/half-chunk", "/no-end"])
def test_a_broken_answer_never_looks_whole(scripted, path):
    proxy, _ = scripted
    for _ in range(3):
        first, second = asyncio.run(one_after_another(proxy.address, path))
        if not isinstance(first, Torn):
            assert first.status == 502, "%d %r" % (first.status, first.body[:80])
            assert first.body, "a 502 without a reason"
            assert second.status == 200 and second.body == b"/whole"
        else:
            assert path in ("/short", "/bad-chunk", "/half-chunk", "/no-end"), "cut where a 502 was still possible: %s" % first
    assert proxy.get("/whole").body == b"/whole"


@pytest.mark.parametrize("path, body", [("/long", b"l" * 10), ("/smuggle", b"")])
def test_bytes_beyond_an_answer_never_reach_anybody(scripted, path, body):
    proxy, _ = scripted
    for _ in range(8):
        first, second = asyncio.run(one_after_another(proxy.address, path))
        assert not isinstance(first, Torn), str(first)
        if first.status != 502:
            assert (first.status, first.body) == (200, body)
        assert (second.status, second.body) == (200, b"/whole")


def test_a_post_that_reached_a_worker_is_never_sent_again(scripted):
    proxy, seen = scripted
    answer = proxy.get("/hang-up", method="POST", body=b"once")
    assert answer.status == 502 and answer.body, repr(answer)
    assert seen.read_bytes().count(b"POST /hang-up") == 1
    answer = proxy.get("/hang-up")
    assert answer.status == 502, repr(answer)
    assert seen.read_bytes().count(b"GET /hang-up") >= 2, "an idempotent request is tried on the other worker"


def test_a_request_is_refused_with_a_reason_when_no_worker_listens(plimsoll):
    proxy = plimsoll({"pool": [{"name": "app", "source": {"kind": "static", "addresses": ["127.0.0.1:1"]}, "queue": {"timeout": "300ms"}}]})
    proxy.start(ready=0)
    def refused():
        try:
            return proxy.get("/")
        except (OSError, http.client.HTTPException):
            return None
    answer = until(refused, 10, "it answers")
    assert answer.status in (502, 503) and answer.body, repr(answer)
    assert proxy.admin.get("/readyz").status == 503
    assert proxy.admin.get("/healthz").status == 200
