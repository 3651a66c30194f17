"""Reloading under load: parse, check, swap whole, or change nothing and say why."""
import copy
import json
import os
import signal
import socket
import threading

import pytest
from harness import toml
from harness.fleets import fleet
from harness.load import Load, verdict
from harness.waiting import PATIENCE, until

pytestmark = pytest.mark.asan


def with_queue(proxy, size):
    config = copy.deepcopy(proxy.config)
    config["pool"][0].setdefault("queue", {})["size"] = size
    proxy.config_path.write_text(toml.dumps(config))


def queue_size(proxy):
    text = proxy.admin.read("/v1/config")
    return text["pool"][0]["queue"]["size"] if "pool" in text else text["config"]["pool"][0]["queue"]["size"]


def test_a_hundred_reloads_under_load_lose_nothing_half_of_them_broken(plimsoll):
    proxy = plimsoll(fleet("sync")).start()
    proxy.wait_serving(4)
    pids = {worker["pid"] for worker in proxy.admin.workers()}
    ways = {
        "api": lambda: proxy.admin.post("/v1/config/reload").status == 200,
        "command": lambda: proxy.cli("reload", "--admin", proxy.admin.address).returncode == 0,
    }
    with Load(proxy.address, connections=32, timeout=30 * PATIENCE) as load:
        for number in range(100):
            reload = ways["command" if number % 10 == 0 else "api"]
            if number % 2 == 0:
                with_queue(proxy, 500 + number)
                assert reload(), "a good file was refused"
                size = 500 + number
            else:
                proxy.config_path.write_text(toml.dumps(proxy.config) + "\n[pool.queue]\nsize = -1\nsiez = 3\n")
                assert not reload(), "a broken file was taken"
            if number % 25 in (0, 1):
                assert queue_size(proxy) == size
        load.run_until(max(1000, load.requests + 200), bound=120 * PATIENCE)
    verdict(load, proxy.ledger).check()
    assert {worker["pid"] for worker in proxy.admin.workers()} == pids, "a reload ended workers"


def test_a_broken_file_changes_nothing_and_all_its_problems_are_told_to_whoever_asked(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2)).start()
    before = queue_size(proxy)
    good = proxy.config_path.read_text()
    proxy.config_path.write_text(good + '\n[[route]]\npath = "/x"\npool = "nobody"\npriorty = "critical"\n')
    refused = proxy.admin.post("/v1/config/reload")
    assert 400 <= refused.status < 500, repr(refused)
    for word in ("nobody", "priorty", "priority"):
        assert word in refused.body.decode(), refused.body
    done = proxy.cli("reload", "--admin", proxy.admin.address)
    assert done.returncode != 0
    for word in ("nobody", "priorty", "priority", str(len(good.splitlines()) + 4)):
        assert word in done.stdout + done.stderr, done
    assert queue_size(proxy) == before
    judged = proxy.admin.post("/v1/config/validate", proxy.config_path.read_bytes())
    assert 400 <= judged.status < 500 and "priorty" in judged.body.decode(), repr(judged)
    assert proxy.admin.post("/v1/config/validate", good.encode()).status == 200


@pytest.mark.parametrize("key", ["file", "trace"])
@pytest.mark.parametrize("where, reason", [("nowhere/a", "nowhere is not there"), ("directory", "is a directory")])
def test_a_log_that_cannot_be_opened_refuses_the_whole_reload(plimsoll, key, where, reason):
    proxy = plimsoll()
    old, new = proxy.directory / "old", proxy.directory / "new"
    (proxy.directory / "directory").mkdir()
    good = {**fleet("sync", workers=1), "log": {key: str(old)}}
    proxy.configure(good).start()
    proxy.wait_serving(1)
    before, bad = queue_size(proxy), str(proxy.directory / where)
    proxy.configure({**good, "log": {key: bad}})
    with_queue(proxy, 77)
    refused = proxy.admin.post("/v1/config/reload")
    assert refused.status == 422 and reason in refused.json["problems"][0]["message"], repr(refused)
    assert queue_size(proxy) == before, "nothing else of it is in effect"
    size = old.stat().st_size
    assert proxy.get("/echo/1?size=1").status == 200
    if key == "file":
        proxy.admin.post("/v1/config/reload")
    until(lambda: old.stat().st_size > size, 10, "the old one is in use")

    proxy.configure({**good, "log": {key: str(new)}})
    with_queue(proxy, 77)
    assert proxy.admin.post("/v1/config/reload").status == 200
    assert proxy.get("/echo/1?size=1").status == 200
    until(lambda: new.exists() and new.stat().st_size > 0, 10, "the next good reload goes to the new one")
    assert queue_size(proxy) == 77


def test_sighup_reloads(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2)).start()
    with_queue(proxy, 77)
    proxy.process.send_signal(signal.SIGHUP)
    until(lambda: queue_size(proxy) == 77, 10, "the new size is in force")
    proxy.config_path.write_text("this is no toml")
    proxy.process.send_signal(signal.SIGHUP)
    until(lambda: "reload" in proxy.log_text() and str(proxy.config_path) + ":1:" in proxy.log_text(), 10, "the log tells the problem")
    assert queue_size(proxy) == 77 and proxy.process.poll() is None


def test_what_a_reload_cannot_change_is_named(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2)).start()
    config = copy.deepcopy(proxy.config)
    config["proxy"]["threads"] = 1
    proxy.config_path.write_text(toml.dumps(config))
    answer = proxy.admin.post("/v1/config/reload")
    assert "threads" in answer.body.decode(), repr(answer)


def test_a_route_added_by_a_reload_routes(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2))
    proxy.configure({**fleet("sync", workers=2), "route": [{"path": "/echo", "pool": "app"}]}).start()
    assert proxy.get("/other/1").status == 404
    config = copy.deepcopy(proxy.config)
    config["route"].append({"path": "/other", "pool": "app"})
    proxy.config_path.write_text(toml.dumps(config))
    assert proxy.admin.post("/v1/config/reload").status == 200
    assert proxy.get("/other/1?size=2").status == 200


def with_pools(server, *names, **more):
    """A pool of one worker for each name, at /NAME."""
    pools = [{**fleet("sync", workers=1)["pool"][0], "name": name} for name in names]
    return server.configure({"pool": pools, "route": [{"path": "/" + name, "pool": name} for name in names], **more})


def reload(proxy):
    return proxy.admin.post("/v1/config/reload")


def queued(proxy, pool):
    return next(each["queued"] for each in proxy.admin.read("/v1/status")["pools"] if each["name"] == pool)


def pools_of(proxy):
    return [pool["name"] for pool in proxy.admin.read("/v1/status")["pools"]]


@pytest.mark.asan
def test_pools_come_and_go_with_reloads_under_load_and_lose_no_request(plimsoll):
    proxy = with_pools(plimsoll(), "app").start()
    proxy.wait_serving(1)
    with Load(proxy.address, connections=4, prefix="/app") as load:
        for number in range(3):
            with_pools(proxy, "app", "other")
            answer = reload(proxy)
            assert answer.status == 200 and answer.json["needs_restart"] == [], repr(answer)
            proxy.wait_serving(1, pool="other")
            assert proxy.get("/other/first-%d" % number).status == 200
            workers = [worker["pid"] for worker in proxy.admin.workers("other")]
            with_pools(proxy, "app")
            assert reload(proxy).status == 200
            assert proxy.get("/other/1").status == 404
            until(lambda: pools_of(proxy) == ["app"], 60, "the pool has ended")
            assert not [pid for pid in workers if os.path.exists("/proc/%d" % pid)]
        load.run_until(load.requests + 50, bound=30 * PATIENCE)
    verdict(load, proxy.ledger).check()
    assert "worker_died" not in proxy.log_text()


def test_a_pool_that_leaves_the_configuration_ends_when_who_is_served_there_has_been(plimsoll):
    proxy = with_pools(plimsoll(), "app", "other").start()
    proxy.wait_serving(1)
    proxy.wait_serving(1, pool="other")
    answers = []
    slow = threading.Thread(target=lambda: answers.append(proxy.get("/other/slow?pause=3").status))
    waiting = threading.Thread(target=lambda: answers.append(proxy.get("/other/after").status))
    slow.start()
    until(lambda: proxy.admin.workers("other")[0]["in_flight"] == 1, 20, "it is served")
    waiting.start()
    until(lambda: queued(proxy, "other") == 1, 20, "the next one waits")
    with_pools(proxy, "app")
    assert reload(proxy).status == 200
    again = with_pools(proxy, "app", "other")
    refused = reload(again)
    assert refused.status == 422 and "still ends" in refused.json["problems"][0]["message"], repr(refused)
    slow.join()
    waiting.join()
    assert answers == [200, 200]
    until(lambda: pools_of(proxy) == ["app"], 60, "the pool has ended")
    assert reload(proxy).status == 200                          # and now the name is free
    proxy.wait_serving(1, pool="other")
    assert proxy.get("/other/1").status == 200


def test_a_new_pool_that_cannot_be_started_refuses_the_reload_and_leaves_nothing(plimsoll):
    proxy = with_pools(plimsoll(), "app").start()
    proxy.wait_serving(1)
    with_pools(proxy, "app", "good", "bad")
    broken = proxy.directory / "gunicorn"
    broken.write_text("#!/nonexistent/python\n")
    broken.chmod(0o755)
    proxy.config["pool"][2]["source"]["command"] = [str(broken), "echo:wsgi"]
    proxy.config_path.write_text(toml.dumps(proxy.config))
    refused = reload(proxy)
    assert refused.status == 422, repr(refused)
    [problem] = refused.json["problems"]
    assert problem["key"] == "pool.bad" and str(broken) in problem["message"], problem
    until(lambda: pools_of(proxy) == ["app"], 60, "the one that was started before it has ended")
    assert proxy.get("/app").status == 200 and proxy.get("/good").status == 404


def test_a_listener_that_cannot_be_opened_ends_the_new_pools_again(plimsoll):
    proxy = with_pools(plimsoll(), "app").start()
    proxy.wait_serving(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with_pools(proxy, "app", "other", listener=[{"address": "127.0.0.1:%d" % proxy.port},
                                                    {"address": "127.0.0.1:%d" % taken.getsockname()[1]}])
        assert reload(proxy).status == 422
    until(lambda: pools_of(proxy) == ["app"], 60, "the new pool has ended")
    assert proxy.get("/app").status == 200


def test_who_still_waits_at_a_pool_that_ends_is_told_so(plimsoll):
    proxy = with_pools(plimsoll(), "app", "other", proxy={"stop_timeout": "1s"}).start()
    proxy.wait_serving(1, pool="other")
    late = socket.create_connection(proxy.address, 30)
    late.sendall(b"POST /other/late HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
    slow = threading.Thread(target=lambda: proxy.get("/other/slow?pause=20"))
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(proxy.get("/other/after").fields["x-plimsoll-reason"]))
    slow.start()
    until(lambda: proxy.admin.workers("other")[0]["in_flight"] == 1, 20, "it is served")
    waiting.start()
    until(lambda: queued(proxy, "other") == 1, 20, "the next one waits")
    with_pools(proxy, "app", proxy={"stop_timeout": "1s"})
    assert reload(proxy).status == 200
    until(lambda: pools_of(proxy) == ["app"], 60, "the pool has ended at the bound")
    waiting.join()
    late.sendall(b"cd")                                         # by a route that was there when it began
    assert late.recv(1000).startswith(b"HTTP/1.1 503")
    late.close()
    slow.join()
    assert answers == ["no_workers"]


def test_a_reload_while_it_stops_is_refused(plimsoll):
    proxy = with_pools(plimsoll(), "app").start()
    proxy.wait_serving(1)
    slow = threading.Thread(target=lambda: proxy.get("/app/slow?pause=2"))
    slow.start()
    until(lambda: proxy.admin.workers()[0]["in_flight"] == 1, 20, "it is served")
    proxy.tell_to_stop()
    until(lambda: " stopping " in proxy.log_text(), 10, "it stops")
    with_pools(proxy, "app", "other")
    refused = reload(proxy)
    assert refused.status == 422 and "stopping" in refused.json["problems"][0]["message"], repr(refused)
    slow.join()
    proxy.stop()


def test_a_stop_while_a_pool_ends_ends_both(plimsoll):
    proxy = with_pools(plimsoll(), "app", "other").start()
    proxy.wait_serving(1, pool="other")
    slow = threading.Thread(target=lambda: proxy.get("/other/slow?pause=2"))
    slow.start()
    until(lambda: proxy.admin.workers("other")[0]["in_flight"] == 1, 20, "it is served")
    with_pools(proxy, "app")
    assert reload(proxy).status == 200
    proxy.stop()
    slow.join()


def test_a_warning_at_the_start_is_an_event_of_the_log(plimsoll):
    proxy = plimsoll()
    log, base = proxy.directory / "own.log", fleet("sync", workers=1)
    base["pool"][0]["queue"] = {"size": 0, "timeout": "3s"}
    proxy.configure({**base, "log": {"file": str(log), "format": "json"}}).start()
    told = [json.loads(line) for line in log.read_text().splitlines()]
    [warning] = [event["warning"] for event in told if event["event"] == "config_warning"]
    assert "pool.queue.timeout: has no effect" in warning and str(proxy.config_path) + ":" in warning, warning
    assert "has no effect" not in proxy.log_text(), "it is told once"
