"""uWSGI of the distribution: its workers are known and measured. Their addresses come from map-socket."""
import os
import sys
import threading
import time

import pytest

from conftest import AGENT
from fake_proxy import wait_for
from servers import Server, ask

BINARY = "/usr/bin/uwsgi"

pytestmark = pytest.mark.skipif(not os.path.exists(BINARY) or not os.path.exists("/usr/lib/uwsgi/plugins/python3_plugin.so"),
                                reason="no uWSGI with Python here: apt-get install uwsgi-core uwsgi-plugin-python3")


DECORATORS = """
import uwsgi                                # the distribution leaves uWSGI's own out; like it, takes the one hook for a chain
chain = []
uwsgi.post_fork_hook = lambda: [function() for function in chain]
def postfork(function):
    chain.append(function)
"""


def start(folder, proxy, *options):
    return Server(folder, "py311", [BINARY, "--plugin", "python3", "--master", "--processes", "2", "--http-socket", "{public}",
                                    "--pythonpath", "{here}", "--pythonpath", folder, "--die-on-term"] + list(options),
                  {"PYTHONPATH": os.path.join(AGENT, "bootstrap"), "PATH": "/usr/bin:/bin",
                   "UWSGI_ENABLE_THREADS": "true"}, proxy)      # else this version keeps the GIL while it waits for requests


def two_workers(proxy, seconds=15):
    return wait_for(lambda: len([a for a in proxy.living() if a.ready]) == 2 and proxy.living(), "two workers", seconds)


@pytest.mark.parametrize("options", [[], ["--lazy-apps"], ["--threads", "3"]], ids=["plain", "lazy", "threads"])
@pytest.mark.parametrize("decorated", [False, True])
def test_workers_say_hello_and_are_measured(decorated, options, proxy, folder):
    module = os.path.join(folder, "served.py")
    with open(module, "w") as file:
        if decorated:
            with open(os.path.join(folder, "uwsgidecorators.py"), "w") as stand_in:
                stand_in.write(DECORATORS)
            file.write("import uwsgidecorators\n@uwsgidecorators.postfork\ndef theirs():\n    print('USER postfork', flush=True)\n")
        file.write("from apps.wsgi import app\nimport json.tool\n")
    server = start(folder, proxy, "--need-app", "--module", "served:app", *options)
    try:
        workers = two_workers(proxy)
        assert all(agent.hello["server"] == "uwsgi" and agent.address is None for agent in workers)
        assert {agent.hello["threads"] for agent in workers} == {3 if "--threads" in options else 1}
        wait_for(lambda: all(agent.samples for agent in workers), "samples")
        assert workers[0].command("capture_a")["ok"]
        assert '"pid"' in ask("unix:" + server.public)
        if decorated and "--lazy-apps" not in options:
            wait_for(lambda: server.output().count("USER postfork") == 2, "the application's own hook")
    finally:
        server.stop()
        print(server.output()[-3000:])


HEAP = """
rows = [[number, [number]] for number in range(400000)]
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"""


@pytest.mark.parametrize("options, censused", [([], False), (["--lazy-apps"], True)], ids=["plain", "lazy"])
def test_a_heap_that_workers_share_with_their_master_stays_shared(options, censused, proxy, folder):
    with open(os.path.join(folder, "heavy.py"), "w") as file:
        file.write(HEAP)
    server = start(folder, proxy, "--need-app", "--module", "heavy:app", *options)
    try:
        agent = two_workers(proxy, 30)[0]
        taken = agent.command("capture_a")["data"]["boot_census"] or censused and wait_for(
            lambda: agent.command("capture_a")["data"]["boot_census"], "the census")
        assert bool(taken) == censused
        if not censused:
            with open("/proc/%d/smaps_rollup" % agent.pid) as file:
                private = sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
            assert private < 25000, private             # kB, of some 70 MB
            why = agent.command("capture_b", deadline=30)["data"]["missed"]["census at boot"]
            assert why.startswith("no census at boot")
    finally:
        server.stop()
        print(server.output()[-3000:])


LOADS_SLOWLY = """
import time
import %s_first
time.sleep(0.5)                             # the agent's thread runs beside it
import %s_last
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"""
LAST = "class Row:\n    pass\n\n\nrows = [Row() for _ in range(5000)]\n"


def write(folder, name):
    for file, text in ((name, LOADS_SLOWLY % (name, name)), (name + "_first", "a = 1\n"), (name + "_last", LAST)):
        with open(os.path.join(folder, file + ".py"), "w") as out:
            out.write(text)


def releases_and_growth(folder, proxy, *options):
    server = start(folder, proxy, *options)
    try:
        workers = two_workers(proxy)
        releases = {agent.release for agent in workers}
        if "--lazy-apps" in options:        # else no worker counts its objects
            for agent in workers:
                agent.settle()
        return releases, {row["type"]: row["delta"] for row in workers[0].command("capture_b")["data"]["types"]}
    finally:
        server.stop()
        print(server.output()[-3000:])


@pytest.mark.parametrize("options", [
    ["--module", "slow:app"], ["--wsgi-file", "{folder}/slow.py", "--callable", "app"],
    ["--mount", "/a=slow:app", "--mount", "/b=slower:app"],
    ["--single-interpreter", "--mount", "/a=slow:app", "--mount", "/b=slower:app"],
], ids=["module", "file", "mounts", "one interpreter"])
def test_release_and_census_are_of_the_application_that_is_loaded_in_the_worker(options, proxy, folder):
    write(folder, "slow"), write(folder, "slower")
    before, _ = releases_and_growth(folder, proxy, *options)
    wait_for(lambda: not proxy.living(), "the end of the first server")
    lazy, grown = releases_and_growth(folder, proxy, "--lazy-apps", *options)
    assert len(lazy) == 1 and None not in lazy and lazy == before
    assert not any(name.endswith("Row") for name in grown), grown


def test_a_worker_that_never_loads_an_application_is_ready_in_the_end(proxy, folder):
    with open(os.path.join(folder, "no_application.py"), "w") as file:
        file.write("import json.tool\n")
    server = start(folder, proxy, "--lazy-apps", "--module", "no_application:app")
    try:
        two_workers(proxy, 20)
    finally:
        server.stop()
        print(server.output()[-3000:])


def test_a_worker_that_serves_all_the_time_is_ready(proxy, folder):
    """Its main thread is never seen outside of Python."""
    with open(os.path.join(folder, "busy.py"), "w") as file:
        file.write("import time\ntime.sleep(0.3)\ndef app(environ, start_response):\n    ends = time.monotonic() + 6\n"
                   "    while time.monotonic() < ends:\n        sum(range(1000))\n    start_response('200 OK', [])\n    return [b'ok']\n")
    server = start(folder, proxy, "--lazy-apps", "--module", "busy:app", "--processes", "1")
    try:
        answers = []
        client = threading.Thread(target=lambda: answers.append(ask("unix:" + server.public)), daemon=True)
        wait_for(lambda: os.path.exists(server.public), "the socket")
        client.start()
        began = time.monotonic()
        wait_for(lambda: [agent for agent in proxy.living() if agent.ready and agent.release], "a ready worker", 5)
        assert time.monotonic() - began < 4
        client.join()
        assert answers == ["ok"]
    finally:
        server.stop()
        print(server.output()[-3000:])


@pytest.mark.parametrize("options", [[], ["--threads", "3"]], ids=["plain", "threads"])
def test_no_request_fails_while_the_heap_is_looked_at(options, proxy, folder):
    with open(os.path.join(folder, "large.py"), "w") as file:
        file.write("import time\nrows = [[number] for number in range(600000)]\n"
                   "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n")
    server = start(folder, proxy, "--module", "large:app", *options)
    try:
        server.serves()
        ends, asked = time.monotonic() + 2.5, 0
        commands = iter(["capture_a", "trace_start", "trace_stop"])
        while time.monotonic() < ends:      # beside the census at boot, and then beside a trace
            agent = next(iter(proxy.living()), None)
            if agent is not None and agent.ready and asked and asked % 200 == 0:
                for name in commands:
                    agent.ask(name)
                    break
            ask("unix:" + server.public)    # it is a 200
            asked += 1
        assert asked > 100
    finally:
        server.stop()
        print(server.output()[-3000:])


@pytest.mark.parametrize("options,modules", [
    ({"module": b"shop.wsgi:app", "lazy-apps": True}, ["shop.wsgi"]),
    ({b"wsgi-file": b"/venv/lib/python3.11/site-packages/shop/wsgi.py"}, ["shop"]),
    ({"mount": [b"/a=shop.wsgi:app", b"/b=/srv/other/wsgi.py", b"/c=lib:app"]}, ["shop.wsgi", "lib"]),
    ({"mount": b"/a", "wsgi": True, "file": 5}, []),
])
def test_the_module_of_what_is_served_is_found_in_the_options(options, modules, monkeypatch):
    sys.path.insert(0, AGENT)
    from plimsoll_agent.capture import ownership
    from plimsoll_agent.hooks import uwsgi
    monkeypatch.setattr(ownership, "_told", {})
    uwsgi.tell_applications(options)
    assert list(ownership._told) == modules
