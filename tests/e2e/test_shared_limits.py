"""Limits that several proxies count together in a real Redis, which hangs, dies, comes back, is full, or is none of ours."""
import concurrent.futures
import copy
import http.client
import threading
import time

import pytest
from harness import toml
from harness.fleets import fleet
from harness.proxy import free_port
from harness.redis_server import Redis, certificates
from harness.waiting import PATIENCE, until

pytestmark = pytest.mark.asan

# A route that needs no worker, for tests of what is counted; and one with workers behind it, for load.
FIXED = {"path": "/", "pool": "app", "respond": {"status": 200, "body": "yes"}}


LITTLE = fleet("sync", workers=1)
BUDGET = "%dms" % (50 * PATIENCE)                              # not the 5 ms of a quiet machine


def shared(route, **limit):
    return [{**route, "limit": [{"key": "header:X-Key", "shared": True, **limit}]}]


def statuses(proxy, count, key="a", path="/x"):
    return [proxy.get(path, fields={"X-Key": key}).status for _ in range(count)]


def results(proxy):
    return proxy.admin.read("/v1/status")["redis"]["requests"]


def state(proxy):
    return proxy.admin.read("/v1/status")["redis"]["state"]


def lines(proxy, event):
    return [line for line in proxy.log_text().splitlines() if event in line]


def story(proxy):
    """What the log says of Redis, in its order: lost, back, lost, ..."""
    said = [line.split("redis_")[1].split()[0] for line in lines(proxy, " redis_")]
    assert said == (["lost", "back"] * len(said))[:len(said)], "each is told once: %r" % said
    return said


def serves_fixed(plimsoll, url, redis=None, **limit):
    """A proxy whose configuration is complete, not started."""
    return plimsoll({**LITTLE, "redis": {"url": url, **(redis or {})}, "route": shared(FIXED, **limit)})


def connected(proxy):
    until(lambda: proxy.admin.read("/v1/status")["redis"]["connections"] == 2, 10, "both reactors are connected")


class Load:
    """Clients in a closed loop, whose answers are noted with their time."""

    def __init__(self, proxy, clients=8):
        self.proxy, self.answers, self.stopping = proxy, [], False
        self.threads = [threading.Thread(target=self.client) for _ in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def client(self):
        wire = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=30 * PATIENCE)
        while not self.stopping:
            began = time.monotonic()
            wire.request("GET", "/echo/x?size=10", headers={"X-Key": "load"})
            answer = wire.getresponse()
            answer.read()
            self.answers.append((began, time.monotonic() - began, answer.status))
        wire.close()

    def more(self, count):
        goal = len(self.answers) + count
        until(lambda: len(self.answers) >= goal, 60, "%d more requests" % count)


def under_load(plimsoll):
    """A proxy with workers and a rate that nobody reaches, and its Redis."""
    proxy = plimsoll(fleet("sync", workers=2))
    server = Redis(proxy).start()
    proxy.configure({**fleet("sync", workers=2), "redis": {"url": server.url, "timeout": BUDGET},
                     "route": shared({"path": "/", "pool": "app"}, rate="100000/s", burst=10000)}).start()
    proxy.wait_serving(2)
    connected(proxy)
    return proxy, server


def test_two_proxies_let_pass_together_what_one_limit_allows(plimsoll):
    first = plimsoll()
    server = Redis(first).start()
    proxies = [first, plimsoll()]
    for proxy in proxies:
        proxy.configure({**LITTLE, "redis": {"url": server.url, "timeout": "1s"},
                         "route": shared(FIXED, rate="1/h", burst=199)}).start()
        connected(proxy)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        said = [status for each in pool.map(lambda number: statuses(proxies[number % 2], 20), range(32)) for status in each]
    assert len(said) == 640 and set(said) == {200, 429}
    assert said.count(200) == 200, "%d passed" % said.count(200)
    passed = [proxy.admin.read("/v1/status")["limits"][0]["passed"] for proxy in proxies]
    assert sum(passed) == 200 and min(passed) > 0, passed

    last = proxies[1].get("/x", fields={"X-Key": "b"})
    assert last.fields["ratelimit-policy"] == '"header:X-Key";q=200;w=720000', "as a limit of this proxy alone tells it"
    assert last.fields["ratelimit"] == '"header:X-Key";r=199;t=3600'
    refused = proxies[0].get("/x", fields={"X-Key": "a"})
    assert refused.status == 429 and refused.fields["x-plimsoll-reason"] == "rate"
    assert 3500 < int(refused.fields["retry-after"]) <= 5400, "up to half longer, since many may share the field"
    keys = server.cli("keys", "*").split()
    assert len(keys) == 2 and all(key.startswith("plimsoll:") and "a" != key for key in keys), keys
    assert all(0 < int(server.cli("pttl", key)) <= 720_000_000 for key in keys), "a key goes when its debts are paid"


def test_the_rate_is_kept_over_proxies_and_time(plimsoll):
    first = plimsoll()
    server = Redis(first).start()
    proxies = [first, plimsoll()]
    for proxy in proxies:
        proxy.configure({**LITTLE, "redis": {"url": server.url, "timeout": "1s"}, "route": shared(FIXED, rate="50/s")}).start()
        connected(proxy)

    def hammer(proxy):
        passed, end = [], time.monotonic() + 3
        while time.monotonic() < end:
            passed += [time.monotonic()] * statuses(proxy, 1).count(200)
        return passed

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        passed = sorted(at for each in pool.map(hammer, proxies * 4) for at in each)
    assert results(proxies[0])["ok"] == sum(results(proxies[0]).values()), results(proxies[0])
    assert len(passed) <= 50 * (passed[-1] - passed[0]) + 2 + 50 * 0.2 * (PATIENCE - 1), "%d passed" % len(passed)
    assert len(passed) >= 50 * 3 * 0.6, "who hammers is served at the rate: %d passed" % len(passed)


def test_several_limits_are_asked_at_once_and_a_refused_request_costs_nothing_at_the_others(plimsoll):
    proxy = plimsoll()
    server = Redis(proxy).start()
    proxy.configure({**LITTLE, "redis": {"url": server.url, "timeout": "1s"}, "route": [
        {**FIXED, "limit": [{"key": "header:X-Key", "rate": "1/h", "burst": 3, "cost": 2, "shared": True},
                            {"key": "header:X-Tenant", "rate": "1/h", "burst": 9, "shared": True},
                            {"key": "header:X-Key", "rate": "1/h", "mode": "shadow", "shared": True},
                            {"key": "path", "rate": "1/h", "burst": 3}]}]}).start()
    connected(proxy)
    assert statuses(proxy, 3) == [200, 200, 429]
    said = proxy.get("/x", fields={"X-Key": "b"})
    assert said.status == 200 and said.fields["ratelimit"].startswith('"path";r=1;'), "the local one had its count back"
    assert '"header:X-Tenant";r=7;' in said.fields["ratelimit"], "so had the shared one: %r" % said.fields
    limits = {limit["limit"]: limit for limit in proxy.admin.read("/v1/status")["limits"]}
    assert limits["header:X-Key#2"]["shadow"] == 1, limits
    assert results(proxy)["ok"] == 4, "one question a request"


def test_a_wrong_password_is_told_in_one_line_and_each_proxy_keeps_to_its_share(plimsoll):
    proxy = plimsoll()
    server = Redis(proxy, "--requirepass", "right").start()
    proxy.configure({**LITTLE, "redis": {"url": server.url, "password": "not-the-one", "proxies": 2, "timeout": "1s"},
                     "route": shared(FIXED, rate="1/h", burst=9)}).start()
    until(lambda: lines(proxy, "redis_lost"), 10, "it is told, though nobody asked for anything")
    assert statuses(proxy, 7) == [200] * 5 + [429] * 2
    told = lines(proxy, "redis_lost")
    assert len(told) == 1 and "WRONGPASS" in told[0] and "local" in told[0], told
    status = proxy.admin.read("/v1/status")["redis"]
    assert "WRONGPASS" in status["problem"] and status["state"] != "passing" and status["requests"]["skipped"] >= 6, status
    assert "not-the-one" not in proxy.log_text()

    config = copy.deepcopy(proxy.config)
    config["redis"]["password"] = "right"
    proxy.config_path.write_text(toml.dumps(config))
    assert proxy.admin.post("/v1/config/reload").status == 200
    connected(proxy)
    assert statuses(proxy, 11, "b") == [200] * 10 + [429], "the whole rate, as Redis counts it"
    until(lambda: story(proxy)[-1] == "back", 10, "that it is back is told, though the reload began anew with it")
    assert proxy.admin.read("/v1/status")["redis"]["problem"] is None
    running = proxy.admin.get("/v1/config").body.decode()
    assert "(hidden)" in running and "right" not in running and server.url not in running


def test_a_redis_that_hangs_costs_a_few_requests_their_patience_and_no_more(plimsoll):
    proxy, server = under_load(plimsoll)
    with Load(proxy) as load:
        load.more(400)
        before = results(proxy)
        assert before["ok"] >= 350 * (1 if PATIENCE == 1 else 0.5), before
        told = len(story(proxy))
        server.stop_answering()
        stopped = time.monotonic()
        until(lambda: state(proxy) != "passing", 10, "it is noticed")
        load.more(1000)
        during = results(proxy)
        assert len(story(proxy)) <= told + 1 and story(proxy)[-1] == "lost", "one line, however long it hangs"
        server.answer_again()
        resumed = time.monotonic()
        until(lambda: state(proxy) == "passing", 10, "it is asked again")
        load.more(200)
        assert story(proxy)[-1] == "lost", "whether it is back for good nobody knows yet"
        until(lambda: story(proxy)[-1] == "back", 30, "it has answered for ten seconds")
    assert {status for _, _, status in load.answers} == {200}
    # Of eight clients each may have had one question out when it was lost; then one probe a second, at most.
    waited = during["timeout"] - before["timeout"]
    assert 0 < waited <= 8 + 4 + (resumed - stopped) + 2 + 5 * (PATIENCE - 1), (before, during)
    assert during["skipped"] - before["skipped"] > 0.9 * 1000, (before, during)
    took = sorted(seconds for began, seconds, _ in load.answers if stopped < began < resumed)
    usual = sorted(seconds for began, seconds, _ in load.answers if began < stopped)
    assert took[len(took) // 2] <= 2 * usual[len(usual) // 2] + 0.005, "as quick as with Redis"
    until(lambda: any("no answer within " + BUDGET in line for line in lines(proxy, "redis_lost")), 10, "the log tells")
    assert results(proxy)["ok"] > during["ok"]


def test_a_redis_killed_and_started_again_under_load_is_lost_and_found(plimsoll):
    proxy, server = under_load(plimsoll)
    with Load(proxy) as load:
        for _ in range(2):
            load.more(200)
            server.kill()
            until(lambda: state(proxy) != "passing", 10, "it is noticed")
            load.more(200)
            assert proxy.admin.read("/v1/status")["redis"]["connections"] == 0
            server.start()
            until(lambda: state(proxy) == "passing", 10, "it is asked again")
        until(lambda: story(proxy)[-1] == "back", 30, "it is told")
    assert story(proxy) == ["lost", "back"], "both times together, so shortly after one another"
    assert {status for _, _, status in load.answers} == {200}
    metrics = proxy.admin.get("/metrics").body.decode()
    assert 'plimsoll_redis_breaker_state{state="passing"} 1' in metrics
    assert 'plimsoll_redis_requests_total{result="skipped"}' in metrics


@pytest.mark.parametrize("name, break_it, mend_it, word", [
    ("full", ["config", "set", "maxmemory", "1"], ["config", "set", "maxmemory", "0"], "OOM"),
    ("a replica", ["replicaof", "127.0.0.1", "9"], ["replicaof", "no", "one"], "READONLY"),
])
def test_a_redis_that_says_no_is_as_good_as_gone(plimsoll, name, break_it, mend_it, word):
    proxy = plimsoll()
    server = Redis(proxy).start()
    proxy.configure({**LITTLE, "redis": {"url": server.url, "timeout": "1s", "proxies": 2}, "route": shared(FIXED, rate="1/h", burst=19)}).start()
    connected(proxy)
    assert statuses(proxy, 2) == [200, 200]
    server.cli(*break_it)
    said = statuses(proxy, 20)
    assert said.count(200) == 9, "its share of 10, less what Redis had counted before"
    told = until(lambda: lines(proxy, "redis_lost"), 10, "the log tells")
    assert len(told) == 1 and word in told[0], told
    assert word in proxy.admin.read("/v1/status")["redis"]["problem"]
    server.cli(*mend_it)
    until(lambda: statuses(proxy, 1, "other") and state(proxy) == "passing", 10, "it is asked again")
    assert statuses(proxy, 1) == [200], "Redis had never counted what it refused to hear"


def test_a_script_that_redis_forgot_is_told_again(plimsoll):
    proxy = plimsoll()
    server = Redis(proxy).start()
    proxy.configure({**LITTLE, "redis": {"url": server.url, "timeout": "1s"}, "route": shared(FIXED, rate="1/h", burst=3)}).start()
    connected(proxy)
    assert statuses(proxy, 2) == [200, 200]
    assert server.cli("script", "flush") == "OK"
    assert statuses(proxy, 3) == [200, 200, 429]
    assert results(proxy) == {"ok": 5, "timeout": 0, "lost": 0, "error": 0, "busy": 0, "skipped": 0}


@pytest.mark.parametrize("how, status", [("open", 200), ("closed", 503)])
def test_without_redis_a_limit_is_open_or_closed_as_the_operator_wishes(plimsoll, how, status):
    proxy = serves_fixed(plimsoll, "redis://127.0.0.1:%d" % free_port(), {"on_failure": how}, rate="1/h").start()
    assert statuses(proxy, 4) == [status] * 4
    answer = proxy.get("/x", fields={"Accept": "application/json"})
    assert "ratelimit" not in answer.fields, "nothing is known of it"
    if how == "closed":
        assert answer.json["reason"] == "limit_unknown" and int(answer.fields["retry-after"]) >= 1, repr(answer)
    told = until(lambda: lines(proxy, "redis_lost"), 10, "the log tells")
    assert len(told) == 1 and how in told[0] and "refused" in told[0].lower(), told


def test_over_tls_the_server_must_be_who_it_says_and_may_ask_the_same_of_us(plimsoll):
    proxy = plimsoll()
    ours, others = certificates(proxy.directory), certificates(proxy.directory, "192.0.2.1")
    server = Redis(proxy, "--requirepass", "secret", tls=ours)
    server.secret = "secret"
    server.start()
    own = {"cert_file": str(ours["cert"]), "key_file": str(ours["key"])}
    redis = {"url": server.url, "password": "secret", "timeout": "1s", "ca_file": str(ours["ca"]), **own}
    proxy.configure({**LITTLE, "redis": redis, "route": shared(FIXED, rate="1/h", burst=2)}).start()
    connected(proxy)
    assert statuses(proxy, 4) == [200, 200, 200, 429]
    assert results(proxy)["ok"] == 4

    def reloaded(problem, **change):
        config = copy.deepcopy(proxy.config)
        config["redis"] = {**redis, **change}
        proxy.config_path.write_text(toml.dumps(config))
        before = len(lines(proxy, "redis_lost"))
        assert proxy.admin.post("/v1/config/reload").status == 200
        until(lambda: len(lines(proxy, "redis_lost")) > before, 10, "it is refused: " + problem)
        assert problem in lines(proxy, "redis_lost")[-1], lines(proxy, "redis_lost")[-1]

    reloaded("certificate", ca_file=str(others["ca"]))
    config = copy.deepcopy(proxy.config)
    config["redis"] = {**redis, "ca_file": "/nowhere.pem"}
    proxy.config_path.write_text(toml.dumps(config))
    refused = proxy.admin.post("/v1/config/reload")
    assert refused.status == 422 and "/nowhere.pem" in refused.body.decode(), refused
    reloaded("certificate", url=server.url.replace("127.0.0.1", "localhost"))
    proxy.config_path.write_text(toml.dumps(proxy.config))
    assert proxy.admin.post("/v1/config/reload").status == 200
    connected(proxy)
    assert statuses(proxy, 1) == [429]


def test_a_user_a_database_and_a_unix_socket_are_said_in_the_url_and_a_prefix_keeps_within_its_rights(plimsoll):
    proxy = plimsoll()
    server = Redis(proxy).start()
    assert server.cli("acl", "setuser", "bob", "on", ">p@ss", "~mine:*", "+select", "+script|load", "+evalsha", "+eval",
                      "+time", "+get", "+set") == "OK"
    proxy.configure({**LITTLE, "redis": {"url": "redis://bob:p%%40ss@127.0.0.1:%d/3" % server.port, "prefix": "mine:", "timeout": "1s"},
                     "route": shared(FIXED, rate="1/h")}).start()
    connected(proxy)
    assert statuses(proxy, 2) == [200, 429]
    assert server.cli("-n", "3", "keys", "*").startswith("mine:")
    config = copy.deepcopy(proxy.config)
    config["redis"]["url"] = "unix://%s?db=4" % server.socket
    proxy.config_path.write_text(toml.dumps(config))
    assert proxy.admin.post("/v1/config/reload").status == 200
    connected(proxy)
    assert statuses(proxy, 2) == [200, 429], "another database"
    assert results(proxy)["ok"] == 4, results(proxy)
    config["route"] = [FIXED]
    proxy.config_path.write_text(toml.dumps(config))
    assert proxy.admin.post("/v1/config/reload").status == 200
    assert proxy.admin.read("/v1/status")["redis"] is None
    until(lambda: len(server.cli("client", "list").splitlines()) == 1, 10, "its connections are closed")


def test_who_is_shed_anyway_is_not_asked_about(plimsoll):
    proxy = plimsoll(fleet("sync", workers=1))
    server = Redis(proxy).start()
    proxy.configure({**fleet("sync", workers=1, queue={"size": 0}), "redis": {"url": server.url, "timeout": "1s"},
                     "route": shared({"path": "/", "pool": "app"}, rate="1/h", burst=99)}).start()
    proxy.wait_serving(1)
    connected(proxy)
    slow = threading.Thread(target=lambda: proxy.get("/echo/slow?pause=%g" % (2 * PATIENCE), fields={"X-Key": "slow"}))
    slow.start()
    until(lambda: proxy.admin.workers()[0]["in_flight"] == 1, 10, "the only slot is taken")
    before = results(proxy)["ok"]
    assert statuses(proxy, 5, path="/echo/x") == [503] * 5
    assert results(proxy)["ok"] == before == 1
    slow.join()
    until(lambda: proxy.admin.workers()[0]["in_flight"] == 0, 10, "the slot is free")
    assert statuses(proxy, 1, path="/echo/x") == [200]
    assert results(proxy)["ok"] == 2
