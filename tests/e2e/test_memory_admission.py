"""Requests are admitted by the memory that others like them have needed: nothing of the application tells it."""
import concurrent.futures
import http.client
import time

from harness.fleets import fleet
from harness.waiting import until


def ask(address, path):
    connection = http.client.HTTPConnection(*address, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode(), response.getheader("X-Plimsoll-Reason")
    finally:
        connection.close()


def most_at_once(address):
    return dict(line.split() for line in ask(address, "/most")[1].splitlines())


def needs(proxy):
    return {each["label"]: each for each in proxy.admin.read("/v1/status")["gates"][0]["memory_needs"]}


def one_worker_of_eight_threads(mode="enforce", arguments=()):
    return fleet("gthread", 1, app="hungry:wsgi", arguments=["--threads", "8", *arguments],
                 memory={"limit": "700MiB", "interval": "100ms", "mode": mode}, queue={"timeout": "60s"})


def in_parallel(address, paths):
    with concurrent.futures.ThreadPoolExecutor(len(paths)) as clients:
        return [answer[0] for answer in clients.map(lambda path: ask(address, path), paths)]


def learn(proxy, path, label, least):
    def learned():
        ask(proxy.address, path)
        need = needs(proxy).get(label)
        return need and need["readings"] >= 3 and need["expected_bytes"] >= least
    until(learned, 30, "the need of %s is known" % label, pause=0.05)


def test_what_a_route_needs_is_learned_to_the_megabyte(plimsoll):
    proxy = plimsoll(one_worker_of_eight_threads()).start()
    proxy.wait_serving(1)
    learn(proxy, "/need/200", "GET /need/{n}", 195 << 20)
    assert needs(proxy)["GET /need/{n}"]["expected_bytes"] < 225 << 20
    assert needs(proxy)["GET /need/{n}"]["much"]


def test_no_more_run_at_once_than_fit_and_all_are_served(plimsoll):
    proxy = plimsoll(one_worker_of_eight_threads()).start()
    proxy.wait_serving(1)
    learn(proxy, "/need/200", "GET /need/{n}", 195 << 20)
    ask(proxy.address, "/forget")
    assert in_parallel(proxy.address, ["/need/200"] * 8) == [200] * 8
    assert int(most_at_once(proxy.address)["200"]) in (2, 3), "700 MiB hold three of 200 and no fourth"


def test_what_a_route_needs_is_known_after_a_restart(plimsoll):
    proxy = plimsoll(one_worker_of_eight_threads()).start()
    proxy.wait_serving(1)
    learn(proxy, "/need/200", "GET /need/{n}", 195 << 20)
    proxy.stop()
    proxy.start()
    proxy.wait_serving(1)
    need = needs(proxy)["GET /need/{n}"]
    assert need["readings"] >= 3 and 195 << 20 <= need["expected_bytes"] < 225 << 20, "nobody has asked for it yet"
    assert in_parallel(proxy.address, ["/need/200"] * 8) == [200] * 8
    assert int(most_at_once(proxy.address)["200"]) in (2, 3), "it is no stranger, of which one begins at a time"


def test_those_who_need_little_pass_those_who_wait_for_room(plimsoll):
    proxy = plimsoll(one_worker_of_eight_threads()).start()
    proxy.wait_serving(1)
    learn(proxy, "/need/250", "GET /need/{n}", 245 << 20)
    ask(proxy.address, "/light")
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        heavy = [clients.submit(ask, proxy.address, "/need/250") for _ in range(8)]
        until(lambda: proxy.admin.read("/v1/status")["gates"][0]["memory_waiting"] >= 4, 10, "some wait for room")
        assert ask(proxy.address, "/light")[0] == 200
        assert not all(each.done() for each in heavy), "the light one had to wait for all the heavy ones"
        assert [each.result()[::2] for each in heavy] == [(200, None)] * 8


def test_in_shadow_everybody_begins_and_is_counted(plimsoll):
    proxy = plimsoll(one_worker_of_eight_threads(mode="shadow")).start()
    proxy.wait_serving(1)
    learn(proxy, "/need/200", "GET /need/{n}", 195 << 20)
    ask(proxy.address, "/forget")
    assert in_parallel(proxy.address, ["/need/200?least=4"] * 6) == [200] * 6
    assert int(most_at_once(proxy.address)["200"]) > 3
    metrics = proxy.admin.get("/metrics").body.decode()
    waits = next(line for line in metrics.splitlines() if line.startswith('plimsoll_pool_memory_shadow_waits_total{pool="app"}'))
    assert float(waits.split()[1]) >= 1
    assert 'reason="memory",mode="shadow"' not in metrics, "who would have waited would not have been refused"


def test_requests_of_one_path_that_are_not_alike_are_told_apart(plimsoll):
    proxy = plimsoll(one_worker_of_eight_threads()).start()
    proxy.wait_serving(1)

    def told_apart():
        for _ in range(5):
            ask(proxy.address, "/need/1")
        ask(proxy.address, "/need/200")
        much, little = (needs(proxy).get("GET /need/%d" % megabytes, {"readings": 0}) for megabytes in (200, 1))
        return much["readings"] >= 3 and little["readings"] >= 3 and much["much"] and not little["much"]
    until(told_apart, 60, "each is known by itself, and for what it needs")
    ask(proxy.address, "/forget")

    def side_by_side():
        assert in_parallel(proxy.address, ["/need/1"] * 8) == [200] * 8
        return int(most_at_once(proxy.address)["1"]) > 3
    until(side_by_side, 10, "light ones run side by side: they are not taken for heavy")


def test_what_is_never_asked_for_twice_is_known_by_its_family(plimsoll):
    proxy = plimsoll(one_worker_of_eight_threads()).start()
    proxy.wait_serving(1)
    for number in range(4):                                     # one at a time: each is read by itself
        ask(proxy.address, "/need/200/quarter-%s" % "abcd"[number])
        until(lambda: any(label.startswith("GET /need/{n}/quarter-%s" % "abcd"[number]) for label in needs(proxy)), 10, "it was read")
    assert needs(proxy)["GET /need/{n}/*"]["much"]
    ask(proxy.address, "/forget")
    assert in_parallel(proxy.address, ["/need/200/year-of-%s" % name for name in ("oslo", "rome", "bonn", "bern", "kyiv", "riga")]) == [200] * 6
    assert int(most_at_once(proxy.address)["200"]) in (2, 3), "none of them was ever asked for before"


def test_under_an_address_space_limit_no_allocation_fails(plimsoll):
    limited = one_worker_of_eight_threads()
    pool = limited["pool"][0]
    del pool["memory"]["limit"]
    # Three of 200 MB fit beside the worker, its threads' stacks and their arena; four never do, whatever is known of them.
    pool["source"]["command"] = ["env", "MALLOC_ARENA_MAX=1", "prlimit", "--as=%d" % (800 << 20), *pool["source"]["command"]]
    proxy = plimsoll(limited).start()
    proxy.wait_serving(1)
    learn(proxy, "/need/200", "GET /need/{n}", 195 << 20)
    ask(proxy.address, "/forget")
    assert in_parallel(proxy.address, ["/need/200"] * 8) == [200] * 8
    assert int(most_at_once(proxy.address)["200"]) in (2, 3)


def test_of_a_worker_out_of_sight_the_agent_tells_what_its_requests_need(plimsoll):
    hidden = one_worker_of_eight_threads()
    command = hidden["pool"][0]["source"]
    command["command"] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *command["command"]]
    proxy = plimsoll(hidden).start()
    proxy.wait_serving(1)
    learn(proxy, "/need/200", "GET /need/{n}", 195 << 20)
    ask(proxy.address, "/forget")
    assert in_parallel(proxy.address, ["/need/200"] * 8) == [200] * 8
    assert int(most_at_once(proxy.address)["200"]) in (2, 3)


def test_what_a_request_leaves_behind_for_good_is_not_taken_for_a_need_for_long(plimsoll):
    proxy = plimsoll(one_worker_of_eight_threads()).start()
    proxy.wait_serving(1)
    learn(proxy, "/need/1", "GET /need/{n}", 1)
    ask(proxy.address, "/keep/100")                             # once for all, as an import or a model does
    until(lambda: "GET /keep/{n}" in needs(proxy), 10, "it was read")

    def forgotten():
        ask(proxy.address, "/keep/100")
        need = needs(proxy)["GET /keep/{n}"]
        assert need["readings"] < 150, need
        return need["readings"] >= 3 and need["expected_bytes"] < 10 << 20 and need["at_first_bytes"] > 95 << 20
    until(forgotten, 60, "it needs nothing of what it kept", pause=0.02)


def test_a_request_that_waited_for_the_worker_to_start_is_measured_from_what_it_held_at_rest(plimsoll):
    one = fleet("gthread", 1, app="hungry:wsgi", arguments=["--threads", "8"],
                memory={"limit": "700MiB", "interval": "100ms"}, queue={"timeout": "10s"})
    proxy = plimsoll(one).start()
    assert ask(proxy.address, "/keep/400")[0] == 200
    until(lambda: "GET /keep/{n}" in needs(proxy), 10, "it was read")
    assert needs(proxy)["GET /keep/{n}"]["at_first_bytes"] > 390 << 20


def test_a_model_that_the_first_request_loads_refuses_none_of_the_next(plimsoll):
    one = fleet("gthread", 1, app="hungry:wsgi", arguments=["--threads", "8"],
                memory={"limit": "700MiB", "interval": "100ms"}, queue={"timeout": "5s"})
    proxy = plimsoll(one).start()
    proxy.wait_serving(1)
    assert ask(proxy.address, "/keep/400")[0] == 200            # it loads the model, and a second one would not fit

    def told_apart():
        assert ask(proxy.address, "/keep/400")[0] == 200
        need = needs(proxy)["GET /keep/{n}"]
        return need["readings"] >= 3 and need["expected_bytes"] < 100 << 20 and need["at_first_bytes"] > 390 << 20
    until(told_apart, 20, "what stays is no need of the next", pause=0.05)
    for _ in range(5):
        assert in_parallel(proxy.address, ["/keep/400"] * 8) == [200] * 8


def test_what_a_thread_of_the_application_takes_is_no_request_s_doing(plimsoll):
    small = fleet("gthread", 1, app="hungry:wsgi", arguments=["--threads", "4"],
                  memory={"limit": "500MiB", "interval": "100ms"}, queue={"timeout": "5s"})
    proxy = plimsoll(small).start()
    proxy.wait_serving(1)
    assert ask(proxy.address, "/thread/250")[0] == 200
    answers = []
    deadline = time.monotonic() + 12
    while time.monotonic() < deadline:                          # it works for a part of the time, as most do
        answers += in_parallel(proxy.address, ["/light"] * 3)
        time.sleep(0.05)
    assert answers.count(200) == len(answers), "%d of %d" % (answers.count(200), len(answers))
    until(lambda: not needs(proxy)["GET /light"]["much"], 10, "nobody takes it for heavy")


def test_clients_that_leave_before_the_memory_is_taken_teach_nothing_wrong(plimsoll):
    small = fleet("command-uvicorn", 1, app="hungry:asgi", memory={"limit": "700MiB", "interval": "100ms"}, queue={"timeout": "60s"})
    proxy = plimsoll(small).start()
    proxy.wait_serving(1)
    learn(proxy, "/late/200", "GET /late/{n}", 195 << 20)
    late = proxy.directory / "late"
    learned = late.stat().st_size
    for number in range(learned + 1, learned + 9):
        client = http.client.HTTPConnection(*proxy.address, timeout=30)
        client.request("GET", "/late/200")
        until(lambda: proxy.admin.worker("app-1")["in_flight"] == 1, 10, "the worker has it")
        time.sleep(0.2)                                         # its patience: an end right behind the request would be no leaving
        client.close()
        until(lambda: late.stat().st_size == number, 20, "and goes on with it")
    assert needs(proxy)["GET /late/{n}"]["expected_bytes"] >= 195 << 20
    assert in_parallel(proxy.address, ["/late/200"] * 6) == [200] * 6
    assert proxy.admin.worker("app-1")["generation"] == 1
