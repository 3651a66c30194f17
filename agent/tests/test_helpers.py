"""Servers that an application runs beside the one that serves it (metrics, an internal API) are none of the pool's."""
import pytest

from fake_proxy import wait_for
from servers import ask, gunicorn

UVICORN = ["python", "-m", "uvicorn", "--app-dir", "{here}", "--uds", "{public}", "apps.helpers:app"]
SERVERS = {
    "uvicorn": UVICORN,
    "uvicorn --workers": UVICORN[:-1] + ["--workers", "2", "apps.helpers:app"],
    "gunicorn": gunicorn("-w", "1", "-k", "uvicorn_worker.UvicornWorker", module="apps.helpers:app"),
}


def count(name):
    return 2 if "--workers" in name else 1


def answers(address):
    try:
        return ask(address)
    except OSError:                         # not yet
        return None


def two_more_samples(agent):
    seen = len(agent.samples)
    wait_for(lambda: len(agent.samples) > seen + 2, "samples")


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("when", ["", "when loaded"])
def test_another_server_in_the_process_is_not_announced_and_says_no_bye(when, name, serve, proxy):
    serve("py311", SERVERS[name], {"HELPER": when}, proxy)
    for agent in proxy.ready(count(name)):
        assert agent.address.startswith("unix:") and '"pid": %d' % agent.pid in ask(agent.address)
        ask(agent.address, "/end")
        two_more_samples(agent)
        assert not agent.gone and not agent.said_bye and '"pid": %d' % agent.pid in ask(agent.address)
    assert len(proxy.hellos) == count(name)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("path", ["/program", "/fork"])
def test_a_server_that_a_worker_starts_does_not_join_its_pool(path, name, serve, proxy, folder):
    server = serve("py311", SERVERS[name], proxy=proxy)
    agent = proxy.ready(count(name))[0]
    ask(agent.address, path)
    wait_for(lambda: answers("unix:" + folder + "/helper.sock"), "the helper")
    two_more_samples(agent)
    assert len(proxy.hellos) == count(name) and "plimsoll:" not in server.output()
    assert not agent.gone and not agent.said_bye


def test_a_gunicorn_that_a_workers_child_becomes_does_not_join_either(serve, proxy, folder):
    with open(folder + "/forking.py", "w") as file:
        file.write("""
import os
from apps.wsgi import app as plain
def app(environ, start_response):
    if environ["PATH_INFO"] == "/gunicorn" and not os.fork():
        from gunicorn.app.base import BaseApplication
        class Own(BaseApplication):
            def load_config(self):
                self.cfg.set("bind", "127.0.0.1:0")
            def load(self):
                return plain
        Own().run()
    return plain(environ, start_response)
""")
    server = serve("py311", gunicorn("-w", "1", "--pythonpath", folder, module="forking:app"), proxy=proxy)
    agent, = proxy.ready(1)
    ask(agent.address, "/gunicorn")
    wait_for(lambda: server.output().count("Booting worker") == 2, "the child's worker")
    two_more_samples(agent)
    assert len(proxy.hellos) == 1 and "plimsoll:" not in server.output()
