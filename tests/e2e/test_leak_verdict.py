"""From growth to a sentence that names route, line and keeper; and what is done about it."""
from harness.admin import story
from harness.fleets import fleet
from harness.traffic import traffic
from harness.waiting import until


def leaks(proxy, what):
    return [leak for leak in proxy.admin.read("/v1/leaks")["leaks"] if leak["what"] == what]


def leaky(policy, workers=2, limit="260MiB", arguments=(), environment=None, **sections):
    return fleet("sync", workers, app="leaky:wsgi", arguments=arguments, memory={"limit": limit, "interval": "100ms", "mode": "off"},
                 leak={"policy": policy}, source={"environment": environment or {}}, **sections)


def test_the_verdict_names_the_line_and_who_keeps_what_it_allocates(plimsoll):
    proxy = plimsoll(leaky("advise", workers=2, capture={"trace_requests": 60}, recycle={"capture_timeout": "30s"})).start()
    proxy.wait_serving(2)
    with traffic(proxy, {"/orders/%d": 1, "/articles/%d": 1}, pause=0.01) as answers:
        traced = until(lambda: [leak for leak in leaks(proxy, "memory") if leak["lines"]], 60, "the line is known", pause=0.2)[0]
        assert traced["incidents"], traced

        def kept():
            """Each recycle of an accused worker looks for the keeper; on a busy machine its second may be over too soon."""
            for worker in proxy.admin.serving() + [each for each in proxy.admin.workers() if each["state"] == "suspect"]:
                if worker["leak"] and worker["leak"]["class"] == "leaking" and worker["leak"]["confidence"] >= 0.8:
                    proxy.admin.act("recycle", worker["id"])   # refused while another one is under way
            return [leak for leak in leaks(proxy, "memory") if leak["kept_by"]]
        leak = until(kept, 60, "who keeps it is known", pause=0.5)[0]
    assert answers[5] == answers[4] == 0, answers
    line = leak["lines"][0]
    assert line["file"].endswith("/leaky.py") and line["function"] == "remember", leak["lines"]
    assert "leaky._seen (dict, " in leak["kept_by"], leak["kept_by"]
    for part in ("leaky.py:%d in `remember`" % line["line"], "kept by `leaky._seen` (dict)", "reaches its limit"):
        assert part in leak["verdict"], leak["verdict"]
    assert "`leaky._seen` only grows" in leak["advice"], leak["advice"]
    incident = proxy.admin.incident(leak["incidents"][0])
    assert incident["lines"][0]["function"] == "remember", story(incident)
    assert incident["growth"][0]["marks"], incident["growth"]
    printed = proxy.cli("leaks", "--admin", proxy.admin.address).stdout
    assert "in remember" in printed and "kept by leaky._seen" in printed, printed


def test_descriptors_and_children_that_grow_are_told_with_what_they_are(plimsoll):
    proxy = plimsoll(leaky("advise", workers=1)).start()
    proxy.wait_serving(1)
    with traffic(proxy, {"/files/%d": 1, "/children/%d": 1}, clients=1, pause=0.015):
        def told():
            found = {leak["what"]: leak for leak in proxy.admin.read("/v1/leaks")["leaks"] if leak["mostly"]}
            return found if "children" in found else None
        found = until(told, 60, "the children are told of", pause=0.2)
    children = found["children"]
    assert children["mostly"].startswith("zombie"), children
    assert abs(children["bytes_per_request"] - 0.5) < 0.15, children
    assert "children per 1,000 requests" in children["verdict"] and "mostly zombie" in children["verdict"], children["verdict"]
    assert "wait for child processes" in children["advice"]
    incident = proxy.admin.incident(children["incidents"][0])
    assert any("are mostly zombie" in entry["event"] for entry in incident["timeline"]), story(incident)


def test_a_fragmented_heap_is_trimmed_and_what_came_back_is_told(plimsoll):
    proxy = plimsoll(leaky("act", limit="700MiB")).start()
    proxy.wait_serving(2)
    with traffic(proxy, {"/holes/%d": 1}, pause=0.005) as answers:
        def trimmed():
            return [incident for incident in proxy.admin.incidents()
                    if incident["trigger"] == "fragmentation" and incident["state"] == "closed"]
        incident = until(trimmed, 60, "a heap was trimmed", pause=0.2)[0]
    assert answers[5] == answers[4] == 0, answers
    incident = proxy.admin.incident(incident["id"])
    trim = incident["trim"]
    assert trim["before"] - trim["after"] >= 0.5 * trim["grown"], story(incident)
    assert "malloc_trim gave back" in incident["verdict"], incident["verdict"]
    assert proxy.admin.read("/v1/pools/app")["trims"]["count"] >= 1
    proxy.wait_serving(2)
