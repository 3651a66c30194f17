"""Everything that an operator and a leak can do to a fleet, at once, under load."""
import itertools
import time

import pytest
from harness import toml
from harness.admin import story
from harness.fleets import pool
from harness.load import Load, Verdict, executed_in
from harness.waiting import PATIENCE, until

pytestmark = pytest.mark.asan


def test_recycles_reloads_captures_and_drains_at_once_lose_nothing(plimsoll, soak):
    """Each recycle forks an operator's command while reactors open and close connections by the hundred."""
    capture = {"command": ["/bin/sh", "-c", "cat /proc/{pid}/status"], "trace_time": "1s"}
    proxy = plimsoll({"pool": [pool("sync", workers=3, name="app", capture=capture),
                               pool("command-uvicorn", workers=3, name="api", capture=capture)],
                      "route": [{"path": "/api", "pool": "api"}, {"path": "/", "pool": "app"}]}).start()
    proxy.wait_serving(3)
    proxy.wait_serving(3, pool="api")
    good = proxy.config_path.read_text()
    open_incidents, recycles, reloads = {}, 0, 0
    deadline = time.monotonic() + (300 if soak else 20)
    with Load(proxy.address, connections=16, timeout=30 * PATIENCE, seed=1) as app, \
            Load(proxy.address, connections=16, timeout=30 * PATIENCE, seed=2, prefix="/api/echo") as api:
        for turn in itertools.count():
            if time.monotonic() > deadline and recycles >= 6:
                break
            for name in ("app", "api"):
                worker = "%s-%d" % (name, turn % 3 + 1)
                answer = proxy.admin.act(("recycle", "capture", "drain", "undrain")[turn % 4], worker, name)
                assert answer.status in (202, 409), repr(answer)
                if answer.status == 202 and turn % 4 == 0:
                    open_incidents[answer.json["incident"]] = worker
            broken = turn % 2 == 1
            proxy.config_path.write_text(good + "nonsense" if broken else toml.dumps(proxy.config))
            assert (proxy.admin.post("/v1/config/reload").status == 200) != broken
            reloads += 1
            for identity in [each for each in open_incidents if proxy.admin.incident(each)["state"] != "open"]:
                incident = proxy.admin.incident(identity)
                assert incident["recycle"]["outcome"] == "done" and incident["recycle"]["lost"] == 0, story(incident)
                del open_incidents[identity]
                recycles += 1
            time.sleep(0.1)
        until(lambda: all(proxy.admin.incident(each)["state"] != "open" for each in open_incidents), 60, "the last recycles are over")
    executed = executed_in(proxy.ledger)
    for load in (app, api):
        said = Verdict(load, {identity: times for identity, times in executed.items() if identity.startswith("%d-" % load.seed)})
        print(said)
        said.check()
    print("%d recycles, %d reloads" % (recycles, reloads))
    for name in ("app", "api"):
        for worker in proxy.admin.workers(name):
            proxy.admin.act("undrain", worker["id"], name)
        proxy.wait_serving(3, pool=name)
