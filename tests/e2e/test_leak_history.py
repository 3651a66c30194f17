"""A leak over restarts and releases is one story: with whom it came, that it is back, and that it is mended."""
from harness.admin import story
from harness.fleets import fleet
from harness.traffic import traffic
from harness.waiting import until

from test_leak_verdict import leaks


def release(name, leaks_in_it):
    config = fleet("sync", 1, app="leaky:wsgi", memory={"limit": "110MiB", "interval": "100ms", "mode": "off"}, leak={"policy": "advise"},
                   capture={"trace": False})
    config["pool"][0]["source"]["environment"] = {"PLIMSOLL_RELEASE": name, "LEAKS": leaks_in_it, "LEFT_BEHIND": str(32 << 10)}
    return config


def incidents(proxy):
    return [incident for incident in proxy.admin.incidents() if incident["trigger"] == "leak"]


def serve(proxy, so, claim, bound=60):
    with traffic(proxy, {"/orders/%d": 3, "/articles/%d": 1}, pause=0.002):
        return until(so, bound, claim, pause=0.1)


def test_a_leak_is_one_story_from_the_release_that_brought_it_to_the_one_that_mends_it(plimsoll):
    proxy = plimsoll(release("41", "")).start()
    worker = proxy.wait_serving(1)[0]["id"]
    assert proxy.admin.worker(worker)["agent"]["release"] == "41"

    def clean(requests):
        seen = proxy.admin.worker(worker)
        return seen["requests"] > requests and seen["leak"] and seen["leak"]["class"] == "steady"
    serve(proxy, lambda: clean(2600), "release 41 does not grow")
    assert not leaks(proxy, "memory")

    proxy.stop()
    proxy.configure(release("42", "orders")).start()
    leak = serve(proxy, lambda: [leak for leak in leaks(proxy, "memory") if leak["incidents"]], "release 42 leaks")[0]
    assert (leak["since_release"], leak["release_before"]) == ("42", "41"), leak
    assert "since release 42, 41 did not have it" in leak["verdict"], leak["verdict"]
    identity = leak["incidents"][0]
    serve(proxy, lambda: proxy.admin.incident(identity)["routes"], "what it will be known again by")

    proxy.stop()
    proxy.start()                                              # the same release again: the same story
    again = serve(proxy, lambda: [leak for leak in leaks(proxy, "memory") if leak["incidents"]], "it leaks again")[0]
    assert again["incidents"] == [identity]

    proxy.stop()
    proxy.configure(release("43", "")).start()
    proxy.wait_serving(1)
    serve(proxy, lambda: proxy.admin.incident(identity)["state"] == "closed", "release 43 has mended it")
    incident = proxy.admin.incident(identity)
    assert incident["verdict"].startswith("mended in release 43: "), story(incident)
    assert [each["id"] for each in incidents(proxy)] == [identity]

    proxy.stop()
    proxy.configure(release("44", "orders")).start()
    proxy.wait_serving(1)
    serve(proxy, lambda: proxy.admin.incident(identity)["state"] == "open", "it is back with release 44")
    assert any(entry["event"].startswith("it is back") for entry in proxy.admin.incident(identity)["timeline"])
    others = [incident for incident in incidents(proxy) if incident["id"] != identity]
    assert all("the same leak as incident " + identity in incident["verdict"] for incident in others), others
