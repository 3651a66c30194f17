"""Every Python, every gunicorn that it can get, every worker class: a worker says hello, serves at its own address, is succeeded,
retired and captured."""
import os

import pytest

import venvs
from fake_proxy import wait_for
from servers import alive, ask, gunicorn

CLASSES = ["sync", "gthread", "gevent", "asgi", "uvicorn_worker.UvicornWorker"]


def options(kind):
    return ["-w", "2", "-k", kind] + (["--threads", "3"] if kind == "gthread" else [])


def module(kind):
    return "apps.asgi:app" if kind in CLASSES[3:] else "apps.wsgi:app"


def has_class(venv, kind):
    if kind != "asgi":
        return True
    site = os.path.join(venvs.VENVS, venv, "lib")
    return any(os.path.exists(os.path.join(site, python, "site-packages/gunicorn/workers/gasgi.py")) for python in os.listdir(site))


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("venv", venvs.NAMES)
def test_a_worker_is_addressed_succeeded_retired_and_captured(venv, kind, serve, proxy, folder):
    if venvs.made(venv) and not has_class(venv, kind):
        pytest.skip("the gunicorn of %s has no %s workers" % (venv, kind))
    server = serve(venv, gunicorn(*options(kind), module=module(kind)), proxy=proxy)
    old, other = proxy.ready(2)
    for agent in (old, other):
        assert '"pid": %d' % agent.pid in ask(agent.address)
        assert agent.hello["server"] == "gunicorn"
        assert agent.hello["worker_class"] == ("uvicorn" if "." in kind else kind)
        assert agent.hello["threads"] == {"sync": 1, "gthread": 3}.get(kind, 0)
        assert agent.hello["ppid"] == server.pid
    wait_for(lambda: old.samples, "a sample")
    assert old.samples[0]["rss"] > old.samples[0]["anon"] > 1 << 20

    assert other.command("successor", pid=old.pid)["ok"]
    successor = proxy.ready(3)[-1]
    assert '"pid": %d' % successor.pid in ask(successor.address)
    assert other.command("retire", pid=old.pid)["ok"]
    assert [agent.pid for agent in proxy.ready(2)] == [other.pid, successor.pid]
    wait_for(lambda: not alive(old.pid), "the death of the retired")
    wait_for(lambda: [word for word in proxy.exited if word["pid"] == old.pid], "the arbiter's word")
    assert old.said_bye and not os.path.exists(old.address[5:])

    quick = successor.command("capture_a")
    assert quick["ok"] and b"File" in quick["files"]["stacks.txt"]
    successor.settle()
    for _ in range(5):
        ask(successor.address, "/bytes")
    deep = successor.command("capture_b", top=10)
    assert deep["ok"] and not deep["data"]["missed"], deep["data"]["missed"]
    assert deep["data"]["types"][0]["type"] == "bytes", deep["data"]["types"]
    assert any(".held" in kept for kept in deep["data"]["retainers"]), deep["data"]["retainers"]
    assert '"pid": %d' % successor.pid in ask(successor.address)
