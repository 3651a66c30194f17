"""Workers whose Python takes no agent from its environment (`python -I`): where it is 3.14 or later one is put into them when
there is something to capture (sys.remote_exec); else /proc has to do, and the story says why."""
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from harness import processes
from harness.admin import story
from harness.binary import ROOT
from harness.proxy import APPS, free_port
from harness.traffic import traffic
from harness.waiting import until

sys.path.insert(0, str(ROOT / "tests"))
import pythons  # noqa: E402

MIB = 1 << 20
OTHER = 65534                                                  # a user that is nobody here


@pytest.fixture(scope="module")
def python314():
    try:
        return pythons.interpreter("3.14")
    except LookupError as reason:
        pytest.skip("no Python 3.14: %s" % reason)


def plain(python, *options, workers=1, uid=None, **sections):
    where = "{port}" if uid else "{socket}"
    command = [python, "-I", "-B", *options, str(APPS / "plain.py"), where, "faulty:wsgi", *([str(uid)] if uid else [])]
    return {"pool": [{"name": "app", "source": {"kind": "command", "workers": workers, "command": command, "slots": 1},
                      **{"memory": {"limit": "256MiB", "interval": "250ms"}, **sections}}]}


def served(plimsoll, config):
    proxy = plimsoll(config).start()
    return proxy, proxy.wait_serving(1)[0]


def captured(proxy, worker, action="capture", bound=60):
    answer = proxy.admin.act(action, worker["id"])
    assert answer.status == 202, repr(answer)
    return proxy.closed(answer.json["incident"], bound)


def names(incident):
    return [file["name"] if isinstance(file, dict) else file for file in incident["capture"]["files"]]


def check_proc_evidence(proxy, incident, name="process.json"):
    seen = json.loads(proxy.admin.file(incident["id"], name))
    assert any("python" in each["name"] and each["rss"] > 0 for each in seen["mappings"]), seen["mappings"]
    assert seen["mappings"][0]["anon"] >= seen["mappings"][-1]["anon"]
    assert sum(each["anon"] for each in seen["mappings"]) > MIB
    assert seen["open"]["descriptors"]["socket, unix"] >= 1, seen["open"]
    assert sum(seen["open"]["threads"].values()) >= 1
    return seen


def test_a_capture_puts_an_agent_into_an_idle_worker_that_has_none(plimsoll, python314):
    proxy, worker = served(plimsoll, plain(python314))
    assert worker["agent"]["connected"] is False
    incident = captured(proxy, worker)
    assert "sys.remote_exec" in story(incident), story(incident)
    assert incident["capture"]["status"] == "done", story(incident)
    assert "plain.py" in proxy.admin.file(incident["id"], "stacks.txt").decode()
    now = proxy.admin.worker(worker["id"])
    assert now["pid"] == worker["pid"] and now["agent"]["connected"] is True
    assert proxy.get("/pid").body.decode() == str(worker["pid"]), "it serves on, at the address that it had"
    until(lambda: not list((proxy.directory / "run").glob("attach.*")), 10, "the script has been removed")
    again = captured(proxy, worker)
    assert again["capture"]["status"] == "done", story(again)
    until(lambda: "agent_put_into_worker" in proxy.log_text(), 10, "the log tells")
    assert proxy.log_text().count("agent_put_into_worker") == 1, "once for a process"


def test_a_trace_of_a_worker_without_an_agent_names_the_line(plimsoll, python314):
    proxy, worker = served(plimsoll, plain(python314, capture={"trace_requests": 30, "trace_time": "10s"}))
    answer = proxy.admin.act("trace", worker["id"])
    assert answer.status == 202, repr(answer)
    until(lambda: proxy.get("/leak/64").status and proxy.admin.incident(answer.json["incident"])["state"] != "open", 60, "the trace is over",
          pause=0.05)
    incident = proxy.admin.incident(answer.json["incident"])
    assert incident["lines"][0]["file"].endswith("faulty.py"), story(incident)


def test_a_leak_without_an_agent_is_recycled_with_stacks_and_census(plimsoll, python314):
    config = plain(python314, recycle={"soft_limit": "64MiB", "min_serving": 0, "max_per_hour": 1000})
    proxy, worker = served(plimsoll, config)

    def over():
        assert proxy.get("/leak/64").status == 200
        done = [each for each in proxy.admin.incidents() if each["trigger"] == "soft_limit" and each["state"] == "closed"]
        return done and done[-1]
    incident = proxy.admin.incident(until(over, 90, "the worker is recycled on its soft limit", pause=0.005)["id"])
    assert incident["recycle"]["outcome"] == "done", story(incident)
    assert incident["capture"]["status"] == "done", story(incident)
    assert {"stacks.txt", "census.json"} <= set(names(incident)), names(incident)
    assert incident["types"][0]["type"].endswith("faulty.Line"), incident["types"][:5]
    assert any("faulty.kept" in json.dumps(held) for held in incident["retainers"]), incident["retainers"]
    assert incident["recycle"]["lost"] == 0
    assert proxy.wait_serving(1)[0]["pid"] != worker["pid"]


def test_a_worker_that_disables_remote_debugging_is_seen_from_outside(plimsoll, python314):
    proxy, worker = served(plimsoll, plain(python314, "-X", "disable-remote-debug"))
    incident = captured(proxy, worker)
    assert "remote debugging is disabled" in story(incident), story(incident)
    assert incident["capture"]["status"] == "partial", story(incident)
    assert "stacks.txt" not in names(incident)
    seen = check_proc_evidence(proxy, incident)
    assert seen["pid"] == worker["pid"]
    assert incident["open"]["descriptors"] == seen["open"]["descriptors"]
    assert not list((proxy.directory / "run").glob("attach.*"))


def test_a_worker_that_is_stuck_in_c_is_seen_from_outside_and_recycled(plimsoll, python314):
    config = plain(python314, recycle={"min_serving": 0, "end_timeout": "1s", "drain_timeout": "1s", "capture_timeout": "5s"})
    proxy, worker = served(plimsoll, config)
    with pytest.raises(OSError):
        proxy.get("/hold-the-gil", timeout=1)
    incident = proxy.recycle(worker["id"])
    assert incident["recycle"]["outcome"] == "done", story(incident)
    assert "has not done so in time" in story(incident), story(incident)
    assert incident["capture"]["status"] == "partial", story(incident)
    check_proc_evidence(proxy, incident)
    check_proc_evidence(proxy, incident, "process-drained.json")
    until(lambda: not list((proxy.directory / "run").glob("attach.*")), 10, "the script has been removed")


def test_an_older_python_is_seen_from_outside(plimsoll):
    proxy, worker = served(plimsoll, plain(sys.executable))
    incident = captured(proxy, worker)
    assert "its Python %d.%d cannot be told to run a script" % sys.version_info[:2] in story(incident), story(incident)
    assert incident["capture"]["status"] == "partial", story(incident)
    check_proc_evidence(proxy, incident)
    answer = proxy.admin.act("trace", worker["id"])
    assert answer.status == 409 and "3.14" in repr(answer), repr(answer)


def test_remote_is_a_wish_that_can_be_taken_back(plimsoll, python314):
    proxy, worker = served(plimsoll, plain(python314, capture={"remote": False}))
    incident = captured(proxy, worker)
    assert "[pool.capture] remote is false" in story(incident), story(incident)
    assert incident["capture"]["status"] == "partial", story(incident)
    assert proxy.admin.worker(worker["id"])["agent"]["connected"] is False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has workers of other users")
@pytest.mark.parametrize("readable", [True, False])
def test_a_worker_of_another_user(plimsoll, python314, readable):
    proxy = plimsoll(plain(python314, uid=OTHER))
    (proxy.directory / "run").chmod(0o755)
    proxy.directory.chmod(0o711 if readable else 0o700)
    proxy.start()
    worker = proxy.wait_serving(1)[0]
    incident = captured(proxy, worker)
    assert processes.user_of(worker["pid"]) == OTHER
    if readable:
        assert incident["capture"]["status"] == "done", story(incident)
        assert "stacks.txt" in names(incident)
    else:
        assert "its user (uid %d) cannot read" % OTHER in story(incident), story(incident)
        assert incident["capture"]["status"] == "partial", story(incident)
        assert "process.json" in names(incident)


def test_the_worker_keeps_its_environment_and_its_names(plimsoll, python314):
    proxy, worker = served(plimsoll, plain(python314))
    before = proxy.get("/names").json
    assert captured(proxy, worker)["capture"]["status"] == "done"
    assert proxy.get("/names").json == before


def test_workers_of_a_gunicorn_without_agents_keep_their_places(plimsoll, python314):
    """gunicorn is the runner's own, which is Python alone."""
    gunicorn = pytest.importorskip("gunicorn")
    folders = [os.path.dirname(os.path.dirname(gunicorn.__file__)), str(APPS)]
    begin = "import sys; sys.path.extend(%r); from gunicorn.app.wsgiapp import run; run()" % folders
    proxy = plimsoll()
    command = [python314, "-I", "-B", "-c", begin, "-w", "2", "-b", "127.0.0.1:%d" % free_port(), "--log-level", "warning", "faulty:wsgi"]
    proxy.configure({"pool": [{"name": "app", "source": {"kind": "gunicorn", "command": command, "slots": 1},
                               "recycle": {"min_serving": 0}}]})
    proxy.start(ready=40)
    before = {worker["id"]: worker["pid"] for worker in proxy.wait_serving(2)}
    incident = captured(proxy, {"id": "app-1"})
    assert incident["capture"]["status"] == "done", story(incident)
    assert "gunicorn" in proxy.admin.file(incident["id"], "stacks.txt").decode()
    assert {worker["id"]: worker["pid"] for worker in proxy.wait_serving(2)} == before
    assert [proxy.admin.worker(name)["agent"]["connected"] for name in ("app-1", "app-2")] == [True, False]
    recycled = proxy.recycle("app-1")
    assert recycled["recycle"]["outcome"] == "done", story(recycled)
    assert "census.json" in names(recycled), story(recycled)
    now = {worker["id"]: worker["pid"] for worker in proxy.wait_serving(2)}
    assert now["app-1"] != before["app-1"] and now["app-2"] == before["app-2"], "and no other worker had to go"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has workers of other users")
@pytest.mark.skipif(Path("/proc/sys/kernel/yama").exists(), reason="yama lets no user write to his own processes")
def test_root_runs_no_python_that_a_workers_user_may_have_changed(plimsoll, python314):
    """A Python of that user's own, which notes who runs it."""
    proxy = plimsoll()
    proxy.directory.chmod(0o711)
    home, notes = proxy.directory / "python", proxy.directory / "notes"
    notes.mkdir()
    notes.chmod(0o777)
    shutil.copytree(Path(python314).parents[1], home, symlinks=True)
    with open(home / "lib" / "python3.14" / "encodings" / "__init__.py", "a") as file:
        file.write("\nimport posix\nposix.close(posix.open(%r %% (posix.getpid(), posix.geteuid()), posix.O_CREAT, 0o600))\n"
                   % (str(notes) + "/%d.%d"))
    for path in [home, *home.rglob("*")]:
        os.chown(path, OTHER, OTHER, follow_symlinks=False)
    config = plain(str(home / "bin" / "python3.14"), uid=OTHER)
    command = config["pool"][0]["source"]["command"]
    config["pool"][0]["source"]["command"] = ["setpriv", "--reuid=%d" % OTHER, "--regid=%d" % OTHER, "--clear-groups", *command[:-1]]
    proxy.configure(config).start()
    (proxy.directory / "run").chmod(0o755)
    worker = proxy.wait_serving(1)[0]
    incident = captured(proxy, worker)
    assert incident["capture"]["status"] == "done", story(incident)
    ran = sorted(path.name.split(".") for path in notes.iterdir())
    assert len(ran) == 2, "the worker, and who told it: %s" % ran
    assert {user for _, user in ran} == {str(OTHER)}, ran


def test_a_suspect_gets_its_agent_before_it_is_captured(plimsoll, python314):
    """So that the line is known while it serves, and the census of its end tells what came since."""
    config = plain(python314, memory={"limit": "260MiB", "interval": "100ms", "mode": "off"}, leak={"policy": "advise"},
                   capture={"trace_requests": 60}, recycle={"min_serving": 0})
    config["pool"][0]["source"]["command"][-1] = "leaky:wsgi"
    proxy, worker = served(plimsoll, config)
    with traffic(proxy, {"/orders/%d": 1, "/articles/%d": 1}, clients=1, pause=0.01):
        leak = until(lambda: [each for each in proxy.admin.read("/v1/leaks")["leaks"] if each["what"] == "memory" and each["lines"]], 60,
                     "the line is known", pause=0.2)[0]
    assert leak["lines"][0]["file"].endswith("/leaky.py") and leak["lines"][0]["function"] == "remember", leak["lines"]
    incident = proxy.recycle(worker["id"])
    # The capture's own word, the last one: the leak's incident tells of the agent as well, in the millisecond in which it came.
    told = "incident=%s pool=app worker=app-1 note=\"an agent was put" % incident["id"]
    until(lambda: told in proxy.log_text(), 10, "the log tells of the capture", pause=0.1)
    assert proxy.log_text().index("agent_put_into_worker") < proxy.log_text().index(told)
    census = json.loads(proxy.admin.file(incident["id"], "census.json"))
    assert census["boot"] is not None, "taken when it was suspected"


def test_a_worker_that_somebody_else_started_has_its_agent_after_a_restart_too(plimsoll, python314):
    proxy = plimsoll()
    socket = proxy.directory / "run" / "app.sock"
    proxy.configure({"pool": [{"name": "app", "source": {"kind": "static", "addresses": ["unix:%s" % socket], "slots": 1},
                               "recycle": {"min_serving": 0}}]})
    other = proxy.beside([python314, "-I", "-B", APPS / "plain.py", socket, "faulty:wsgi"])
    proxy.start()
    worker = proxy.wait_serving(1)[0]
    assert worker["pid"] == other.pid
    assert captured(proxy, worker)["capture"]["status"] == "done"
    refused = proxy.admin.act("recycle", worker["id"])
    assert refused.status == 409 and "start it again" in repr(refused), "an agent that was put in starts no server again"
    proxy.tell_to_stop()                                       # and not the other server
    assert proxy.process.wait(30) == 0
    proxy.start()
    proxy.wait_serving(1)
    until(lambda: proxy.admin.worker(worker["id"])["agent"]["connected"], 30, "the agent has dialled again", pause=0.1)
    again = captured(proxy, worker)
    assert again["capture"]["status"] == "done", story(again)
    until(lambda: "agent_put_into_worker" in proxy.log_text(), 10, "the log tells")
    assert proxy.log_text().count("agent_put_into_worker") == 1, "once for a process"


def test_of_a_wrapper_and_its_python_the_python_gets_the_agent(plimsoll, python314):
    config = plain(python314)
    command = config["pool"][0]["source"]["command"]
    config["pool"][0]["source"]["command"] = ["/bin/sh", "-c", "%s; exit 0" % " ".join(command)]
    proxy, worker = served(plimsoll, config)
    inner = int(proxy.get("/pid").body)
    assert inner != worker["pid"]
    incident = captured(proxy, worker)
    assert incident["capture"]["status"] == "done", story(incident)
    assert "pid %d" % inner in story(incident)
    assert proxy.admin.worker(worker["id"])["pid"] == worker["pid"], "who is signalled and awaited stays the same"
