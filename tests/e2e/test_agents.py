"""Servers that Plimsoll did not start: the environment is all that they need."""
import os
import shutil
import signal
import sys

import pytest
from harness import processes
from harness.fleets import fleet, gunicorn
from harness.load import Load, verdict
from harness.proxy import free_port
from harness.waiting import PATIENCE, until

WAITS = {"pool": [{"name": "app", "source": {"kind": "gunicorn"}, "recycle": {"max_per_hour": 1000}}]}
TOKEN = "a-token-for-agents"


def loads_and_recycles(proxy, count):
    """A recycle under load loses nothing, here too."""
    with Load(proxy.address, connections=16, timeout=30 * PATIENCE) as load:
        assert proxy.recycle(proxy.admin.serving()[0]["id"])["recycle"]["outcome"] == "done"
        load.run_until(500, bound=60 * PATIENCE)
    verdict(load, proxy.ledger).check()
    proxy.wait_serving(count)


def test_a_gunicorn_started_outside_joins_by_its_environment_alone(plimsoll):
    proxy = plimsoll(WAITS)
    outside = proxy.beside(gunicorn("sync", 3), environment={"PLIMSOLL_CONTROL": "unix:%s" % proxy.control})
    proxy.start()
    workers = proxy.wait_serving(3)
    assert {processes.parent_of(worker["pid"]) for worker in workers} == {outside.pid}
    loads_and_recycles(proxy, 3)
    assert outside.poll() is None


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_workers_of_another_server_are_found_again_after_the_run_directory_was_deleted(plimsoll, kind):
    """As systemd does at each stop, where it is not told to preserve it: their private sockets were in it."""
    proxy = plimsoll(WAITS)
    outside = proxy.beside(gunicorn(kind, 2), environment={"PLIMSOLL_CONTROL": "unix:%s" % proxy.control})
    proxy.start()
    before = {worker["pid"] for worker in proxy.wait_serving(2)}
    assert proxy.get("/echo/before?size=1").status == 200
    proxy.tell_to_stop()
    assert proxy.process.wait(45 * PATIENCE) == 0
    shutil.rmtree(proxy.control.parent)
    proxy.control.parent.mkdir()
    proxy.start()
    assert {worker["pid"] for worker in proxy.wait_serving(2)} == before, "they have not been started anew"
    assert proxy.get("/echo/after?size=1").status == 200
    loads_and_recycles(proxy, 2)
    assert outside.poll() is None


def test_agents_over_tcp_need_the_token_and_announce_tcp_listeners(plimsoll):
    port = free_port()
    proxy = plimsoll({**WAITS, "proxy": {"control": ["tcp:127.0.0.1:%d" % port], "token": TOKEN}})
    dial = {"PLIMSOLL_CONTROL": "tcp:127.0.0.1:%d" % port}
    stranger = proxy.beside(gunicorn("sync", 1), environment={**dial, "PLIMSOLL_TOKEN": "wrong"})
    proxy.start(ready=0)
    until(lambda: "token" in proxy.log_text(), 20, "the log tells of the wrong token")
    assert not proxy.admin.workers()
    proxy.beside(gunicorn("gthread", 2), environment={**dial, "PLIMSOLL_TOKEN": TOKEN})
    workers = proxy.wait_serving(2)
    assert all(worker["address"].startswith(("tcp:127.0.0.1:", "127.0.0.1:")) for worker in workers), workers
    assert stranger.poll() is None, "a refused agent must not hurt its application"
    loads_and_recycles(proxy, 2)


CONF = """\
import os
bind = "127.0.0.1:0"
workers = 2
def post_fork(server, worker):
    with open(os.environ["OWN_HOOK"], "a") as file:
        file.write("%d\\n" % worker.pid)
"""


def test_a_users_own_hooks_and_configuration_stay(plimsoll):
    proxy = plimsoll(WAITS)
    conf, own = proxy.directory / "gunicorn.conf.py", proxy.directory / "own"
    conf.write_text(CONF)
    proxy.beside([sys.executable, "-m", "gunicorn", "-c", conf, "echo:wsgi"],
                 environment={"PLIMSOLL_CONTROL": "unix:%s" % proxy.control, "OWN_HOOK": str(own)})
    proxy.start()
    proxy.wait_serving(2)
    loads_and_recycles(proxy, 2)
    assert {worker["pid"] for worker in proxy.admin.workers()} <= {int(line) for line in own.read_text().split()}


def test_a_gunicorn_in_a_place_of_its_own_may_replace_its_worker_and_loses_no_request(plimsoll):
    """kind "command": the server stays, its worker comes and goes below it."""
    command = [sys.executable, "-m", "gunicorn", "-w", "1", "-b", "unix:{socket}", "--max-requests", "20", "--log-level", "warning",
               "echo:wsgi"]
    proxy = plimsoll({"pool": [{"name": "app", "source": {"kind": "command", "workers": 2, "command": command}}]}).start()
    before = {worker["id"]: worker["pid"] for worker in proxy.wait_serving(2)}
    with Load(proxy.address, connections=4, timeout=30 * PATIENCE) as load:
        load.run_until(200, bound=120 * PATIENCE)
    verdict(load, proxy.ledger).check()
    after = {worker["id"]: worker for worker in proxy.admin.workers()}
    assert {worker["generation"] for worker in after.values()} == {1}, "the servers are the same"
    assert all(after[place]["pid"] != pid for place, pid in before.items()), "both replaced their worker"


@pytest.mark.parametrize("arguments", [["--preload"], ["--max-requests", "0", "--reuse-port"]], ids=["preload", "reuse-port"])
def test_a_fleet_with_other_ways_of_forking_recycles_too(plimsoll, arguments):
    proxy = plimsoll(fleet("sync", workers=3, arguments=arguments)).start()
    proxy.wait_serving(3)
    loads_and_recycles(proxy, 3)


def test_hup_of_the_arbiter_replaces_the_workers_without_a_failed_request(plimsoll):
    proxy = plimsoll(fleet("sync", workers=3)).start()
    before = {worker["pid"] for worker in proxy.wait_serving(3)}
    arbiter = processes.parent_of(next(iter(before)))
    os.kill(arbiter, signal.SIGHUP)
    until(lambda: len(proxy.admin.serving()) == 3 and not before & {worker["pid"] for worker in proxy.admin.serving()}, 30,
          "three new workers serve", pause=0.05)
    loads_and_recycles(proxy, 3)


def test_a_server_that_recycles_its_workers_itself_is_warned_about(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2, arguments=["--max-requests", "500"])).start()
    proxy.wait_serving(2)
    until(lambda: "max_requests" in proxy.log_text(), 10, "the log warns of max_requests")
    (why,) = proxy.admin.read("/v1/leaks")["unjudged"]
    assert "after 500 requests (max_requests), and what grows is judged from 2048 on" in why


def test_without_an_agent_the_fleet_serves_and_says_what_would_make_it_addressable(plimsoll):
    proxy = plimsoll()
    port = free_port()
    proxy.configure({"pool": [{"name": "app", "source": {"kind": "static", "addresses": ["127.0.0.1:%d" % port], "slots": 2}}]})
    proxy.beside([sys.executable, "-m", "gunicorn", "-w", "2", "-b", "127.0.0.1:%d" % port, "echo:wsgi"])
    proxy.start()
    worker = proxy.wait_serving(1)[0]
    assert worker["agent"]["connected"] is False
    assert worker["memory"]["anon_bytes"] is None or worker["memory"]["anon_bytes"] > 0, "unknown is null, never zero"
    with Load(proxy.address, connections=4, timeout=30 * PATIENCE) as load:
        load.run_until(200, bound=60 * PATIENCE)
    verdict(load, proxy.ledger).check()
