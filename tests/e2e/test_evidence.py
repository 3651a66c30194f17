"""The main job: a leak crosses the soft limit, and what it was can be read afterwards."""
import json
import tracemalloc

import pytest
from harness import processes
from harness.admin import story
from harness.fleets import fleet
from harness.waiting import PATIENCE, until

pytestmark = pytest.mark.asan

MIB = 1 << 20


def leaking(plimsoll, kind="sync", growth=16, **sections):
    """A fleet of faulty.py whose soft limit lies `growth` MiB above what a fresh worker uses."""
    probe = plimsoll(fleet(kind, workers=1, app="faulty:wsgi", recycle={"min_serving": 0})).start()
    fresh = processes.anonymous_memory(probe.wait_serving(1)[0]["pid"])
    probe.stop()
    recycle = {"soft_limit": "%dMiB" % (fresh // MIB + growth), "hard_limit": "200MiB", **sections.pop("recycle", {})}
    return plimsoll(fleet(kind, workers=2, app="faulty:wsgi", recycle=recycle,
                          memory={"limit": "256MiB", "interval": "250ms"}, **sections)).start()


def leak_until_recycled(proxy, kib=64):
    """Requests on the leaking route until a worker has been recycled for it. The closed incident."""
    def over():
        answer = proxy.get("/leak/%d" % kib)
        assert answer.status == 200, repr(answer)
        done = [incident for incident in proxy.admin.incidents() if incident["trigger"] == "soft_limit" and incident["state"] == "closed"]
        return done and done[-1]
    return proxy.admin.incident(until(over, 90, "a worker is recycled on its soft limit", pause=0.005)["id"])


def names(incident):
    return [file["name"] if isinstance(file, dict) else file for file in incident["capture"]["files"]]


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_a_leak_is_recycled_and_its_type_stands_on_top_of_the_census(plimsoll, kind):
    proxy = leaking(plimsoll, kind)
    limit = int(proxy.config["pool"][0]["recycle"]["soft_limit"][:-3]) * MIB
    incident = leak_until_recycled(proxy)
    assert incident["recycle"]["outcome"] == "done", story(incident)
    assert incident["capture"]["status"] == "done", story(incident)
    assert incident["recycle"]["lost"] == 0
    assert incident["types"][0]["type"].endswith("faulty.Line"), incident["types"][:5]
    assert incident["types"][0]["delta"] > 5000
    assert any("faulty.kept" in json.dumps(held) for held in incident["retainers"]), incident["retainers"]
    assert incident["recycle"]["memory_before"] >= limit > incident["recycle"]["memory_after"]
    assert incident["recycle"]["successor"]
    proxy.wait_serving(2)


def test_the_files_of_a_capture_open_in_the_tools_they_are_made_for(plimsoll, tmp_path):
    proxy = leaking(plimsoll, capture={"trace_requests": 50})
    incident = leak_until_recycled(proxy)
    files = names(incident)
    census = json.loads(proxy.admin.file(incident["id"], "census.json"))
    assert census
    stacks = [proxy.admin.file(incident["id"], name).decode() for name in files if name.startswith("stacks")]
    assert any("Thread" in text and "File " in text for text in stacks), stacks
    (tmp_path / "trace.snapshot").write_bytes(proxy.admin.file(incident["id"], "trace.snapshot"))
    snapshot = tracemalloc.Snapshot.load(str(tmp_path / "trace.snapshot"))
    top = snapshot.statistics("lineno")[0]
    assert top.traceback[0].filename.endswith("faulty.py"), top
    folded = proxy.admin.file(incident["id"], "trace.folded").decode().splitlines()
    assert all(line.rpartition(" ")[2].isdigit() and ";" in line or line.rpartition(" ")[2].isdigit() for line in folded)
    assert any("faulty.py" in line for line in folded)
    assert incident["lines"][0]["file"].endswith("faulty.py"), incident["lines"][:3]
    for path in (proxy.directory / "state").rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0, "%s may be read by others" % path


def test_a_capture_on_request_leaves_the_worker_serving(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2, app="faulty:wsgi")).start()
    target = proxy.wait_serving(2)[0]
    answer = proxy.admin.act("capture", target["id"])
    assert answer.status == 202, repr(answer)
    incident = proxy.closed(answer.json["incident"])
    assert incident["trigger"] in ("capture", "operator"), incident
    assert incident["capture"]["status"] == "done", story(incident)
    assert any(name.startswith("stacks") for name in names(incident))
    proxy.wait_serving(2)
    assert proxy.admin.worker(target["id"])["pid"] == target["pid"], "a capture is no recycle"


def test_an_operators_own_command_runs_and_its_output_is_kept(plimsoll):
    command = ["/bin/sh", "-c", "echo looked at {pid} of {worker} in {pool}; echo more > {directory}/own.txt"]
    proxy = plimsoll(fleet("sync", workers=2, capture={"command": command})).start()
    target = proxy.wait_serving(2)[0]
    incident = proxy.recycle(target["id"])
    wanted = "looked at %d of %s in app" % (target["pid"], target["id"])
    kept = {name: proxy.admin.file(incident["id"], name).decode("utf-8", "replace") for name in names(incident)}
    assert any(wanted in text for text in kept.values()), sorted(kept)
    assert kept.get("own.txt") == "more\n", sorted(kept)


def test_an_operators_command_that_hangs_is_ended_at_its_deadline(plimsoll):
    capture = {"command": ["/bin/sleep", "60"], "command_timeout": "1s"}
    proxy = plimsoll(fleet("sync", workers=2, capture=capture)).start()
    incident = proxy.recycle(proxy.wait_serving(2)[0]["id"], bound=30)
    assert incident["recycle"]["outcome"] == "done", story(incident)
    assert "command" in story(incident), story(incident)


def test_incidents_outlive_a_restart(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2)).start()
    identity = proxy.recycle(proxy.wait_serving(2)[0]["id"])["id"]
    before = proxy.admin.incident(identity)
    proxy.stop()
    proxy.start()
    assert proxy.admin.incident(identity) == before
    assert identity in [incident["id"] for incident in proxy.admin.incidents()]
    proxy.wait_serving(2)
    assert proxy.recycle(proxy.admin.serving()[0]["id"])["id"] != identity


def test_the_hard_limit_recycles_too(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2, app="faulty:wsgi", recycle={"hard_limit": "64MiB"},
                           memory={"limit": "256MiB", "interval": "250ms"})).start()
    proxy.wait_serving(2)
    proxy.get("/leak/65536", timeout=60 * PATIENCE)
    incident = until(lambda: [each for each in proxy.admin.incidents() if each["trigger"] == "hard_limit" and each["state"] == "closed"],
                     60, "a worker is recycled on its hard limit")[0]
    assert proxy.admin.incident(incident["id"])["recycle"]["outcome"] == "done"
    proxy.wait_serving(2)
