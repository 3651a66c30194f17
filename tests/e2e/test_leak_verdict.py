"""What grows besides memory is told with what it is, and what to do about it."""
from harness.admin import story
from harness.fleets import fleet
from harness.traffic import traffic
from harness.waiting import until


def leaks(proxy, what):
    return [leak for leak in proxy.admin.read("/v1/leaks")["leaks"] if leak["what"] == what]


def leaky(policy, workers=2, limit="260MiB", arguments=(), environment=None, **sections):
    return fleet("sync", workers, app="leaky:wsgi", arguments=arguments, memory={"limit": limit, "interval": "100ms", "mode": "off"},
                 leak={"policy": policy}, source={"environment": environment or {}}, **sections)


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
