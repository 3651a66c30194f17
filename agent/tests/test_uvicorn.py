"""uvicorn as a supervisor of several processes, and as one."""
import os
import shutil
import signal
import threading

import pytest

from fake_proxy import FakeProxy, wait_for
from servers import ask

VENVS = ["py38", "py311", "py313"]


def uvicorn(*options):
    return ["python", "-m", "uvicorn", "--app-dir", "{here}", "--uds", "{public}"] + list(options) + ["apps.asgi:app"]


def answers(agent):
    return '"pid": %d' % agent.pid in ask(agent.address)


@pytest.mark.parametrize("venv", VENVS)
def test_children_have_private_listeners_and_are_replaced(venv, serve, proxy):
    server = serve(venv, uvicorn("--workers", "2"), proxy=proxy)
    workers = proxy.ready(2)
    assert all(answers(agent) and agent.hello["server"] == "uvicorn" and agent.hello["ppid"] == server.pid for agent in workers)
    os.kill(workers[0].pid, signal.SIGTERM)
    wait_for(lambda: workers[0].gone, "the end")
    assert workers[0].said_bye and not os.path.exists(workers[0].address[5:])
    assert all(answers(agent) for agent in proxy.ready(2))


@pytest.mark.parametrize("loop", ["auto", "asyncio"])
def test_private_listeners_whose_folder_was_deleted_are_bound_anew(loop, serve, folder):
    os.mkdir(os.path.join(folder, "run"))
    proxy = FakeProxy(os.path.join(folder, "run"))
    serve("py311", uvicorn("--workers", "2", "--loop", loop), proxy=proxy)
    before = proxy.ready(2)
    proxy.close()
    wait_for(lambda: all(agent.gone for agent in before), "the hang-up")
    shutil.rmtree(os.path.join(folder, "run"))
    os.mkdir(os.path.join(folder, "run"))
    proxy.open()
    after = proxy.ready(2)
    assert {agent.pid for agent in after} == {agent.pid for agent in before} and all(answers(agent) for agent in after)
    os.kill(after[0].pid, signal.SIGTERM)
    wait_for(lambda: after[0].gone, "the end")
    assert not os.path.exists(after[0].address[5:])
    proxy.close()


def test_children_may_listen_on_tcp(serve, folder):
    proxy = FakeProxy(folder, tcp=True)
    serve("py311", uvicorn("--workers", "2"), proxy=proxy)
    assert all(agent.address.startswith("tcp:127.0.0.1:") and answers(agent) for agent in proxy.ready(2))
    proxy.close()


@pytest.mark.parametrize("venv", VENVS)
def test_one_process_tells_its_own_address_and_copy(venv, serve, proxy):
    server = serve(venv, uvicorn(), {"PLIMSOLL_INDEX": "3"}, proxy)
    agent, = proxy.ready(1)
    assert agent.hello["index"] == 3 and agent.pid == server.pid
    assert agent.address == "unix:" + server.public and answers(agent)


@pytest.mark.parametrize("venv", VENVS)
def test_a_process_that_executes_itself_anew_is_a_worker_still(venv, serve, proxy):
    server = serve(venv, uvicorn(), proxy=proxy)
    first, = proxy.ready(1)
    for _ in range(2):                      # the successor can do so, too
        before, = proxy.ready(1)
        ask(before.address, "/again")
        wait_for(lambda: before.gone, "the end of the former program")
        after, = proxy.ready(1)
        assert after is not before and after.pid == first.pid == server.pid and answers(after)
        assert after.hello["started_at"] > before.hello["started_at"]
    wait_for(lambda: server.output().count("forked control is None") == 2, "a child that is none of the pool's")
    assert "Exception ignored" not in server.output()


def test_one_process_on_a_port_tells_it(serve, proxy):
    command = uvicorn()
    command[command.index("--uds"):command.index("{public}") + 1] = ["--port", "0"]
    serve("py311", command, proxy=proxy)
    agent, = proxy.ready(1)
    assert agent.address.startswith("tcp:127.0.0.1:") and answers(agent)


def test_a_child_that_cannot_start_again_does_not_stop_the_others(serve, proxy, folder):
    flag = os.path.join(folder, "broken")
    server = serve("py311", uvicorn("--workers", "2"), {"BROKEN_LIFESPAN": flag}, proxy)
    one, other = proxy.ready(2)
    open(flag, "w").close()
    os.kill(one.pid, signal.SIGKILL)
    wait_for(lambda: server.output().count("startup failed") >= 2, "two starts that fail", 30)
    assert server.process.poll() is None and answers(other)
    os.unlink(flag)
    assert all(answers(agent) for agent in proxy.ready(2))


def test_a_first_batch_that_cannot_start_ends_the_server_as_ever(serve, proxy, folder):
    flag = os.path.join(folder, "broken")
    open(flag, "w").close()
    server = serve("py311", uvicorn("--workers", "2"), {"BROKEN_LIFESPAN": flag}, proxy)
    assert server.exit_code(30) is not None


def test_a_capture_of_a_child_tells_its_tasks_and_requests(serve, proxy):
    serve("py311", uvicorn("--workers", "2"), proxy=proxy)
    agent = proxy.ready(2)[0]
    client = threading.Thread(target=ask, args=(agent.address, "/slow"))
    client.start()

    def seen():
        capture = agent.command("capture_a")
        return capture if capture["data"]["requests"] else None
    capture = wait_for(seen, "the request in the capture", 5)
    assert capture["data"]["requests"][0]["path"] == "/slow"
    text = capture["files"]["stacks.txt"].decode()
    assert "Task " in text and "apps/asgi.py" in text and "asyncio.sleep(1.0)" in text
    client.join()
