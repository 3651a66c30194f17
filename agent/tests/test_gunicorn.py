"""gunicorn in every form that people run it in: the hooks stay, the user's own run, and nothing of ours halts or slows it."""
import glob
import os
import shutil
import signal
import sys

import pytest

from fake_proxy import FakeProxy, wait_for
from servers import alive, ask, children, gunicorn, request

PY = "py311"
CLASSES = ["sync", "gthread", "gevent", "asgi", "uvicorn_worker.UvicornWorker"]


def module(kind):
    return "apps.asgi:app" if kind in CLASSES[3:] else "apps.wsgi:app"


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def answers(agent):
    return '"pid": %d' % agent.pid in ask(agent.address)


def recycles(proxy, count):
    """Successor first for the oldest: works, and leaves `count` workers."""
    workers = proxy.ready(count)
    assert workers[-1].command("successor", pid=workers[0].pid)["ok"]
    proxy.ready(count + 1)
    assert workers[-1].command("retire", pid=workers[0].pid)["ok"]
    left = proxy.ready(count)
    assert workers[0].pid not in [agent.pid for agent in left]
    return left


def test_user_hooks_still_run(serve, proxy, folder):
    config = write(folder, "conf.py", """
def note(name):
    def hook(*args):
        print("USER", name, flush=True)
    return hook
def pre_fork(server, worker): note("pre_fork")()
def post_fork(server, worker): note("post_fork")()
def post_worker_init(worker): note("post_worker_init")()
def worker_exit(server, worker): note("worker_exit")()
def child_exit(server, worker): note("child_exit")()
workers = 2
""")
    server = serve(PY, gunicorn("-c", config), proxy=proxy)
    recycles(proxy, 2)
    for name in ("pre_fork", "post_fork", "post_worker_init", "worker_exit", "child_exit"):
        wait_for(lambda: "USER " + name in server.output(), name)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("how", ["plain", "preload", "reuse-port"])
def test_private_listeners_survive_hup(how, kind, serve, proxy):
    options = ["-w", "2", "-k", kind] + ([] if how == "plain" else ["--" + how])
    command = gunicorn(*options, module=module(kind))
    if how == "reuse-port":                 # the kernel has no such option for unix sockets
        command[command.index("unix:{public}")] = "127.0.0.1:0"
    server = serve(PY, command, proxy=proxy)
    before = proxy.ready(2)
    server.signal(signal.SIGHUP)
    wait_for(lambda: all(agent.gone for agent in before), "the end of the old workers")
    after = proxy.ready(2)
    assert all(answers(agent) for agent in after)
    assert [agent.hello["age"] for agent in after] == [3, 4]


def test_reload_of_a_changed_file_keeps_private_listeners(serve, proxy, folder):
    write(folder, "changing.py", "def app(e, s):\n    s('200 OK', [])\n    import os\n    return [b'\"pid\": %d' % os.getpid()]\n")
    serve(PY, gunicorn("-w", "2", "--reload", "--reload-engine", "poll", "--pythonpath", folder, module="changing:app"), proxy=proxy)
    before = proxy.ready(2)
    path = os.path.join(folder, "changing.py")

    def touched():                          # again and again: the reloader may not have looked a first time yet
        os.utime(path, (os.stat(path).st_mtime + 10,) * 2)
        return all(agent.gone for agent in before)
    wait_for(touched, "the reload", 30)
    assert all(answers(agent) for agent in proxy.ready(2))


def test_usr2_gives_the_new_server_hooks_of_its_own(serve, proxy, folder):
    server = serve(PY, gunicorn("-w", "2", "--pid", "{folder}/pid"), proxy=proxy)
    before = proxy.ready(2)
    server.signal(signal.SIGUSR2)
    both = proxy.ready(4)
    new = [agent for agent in both if agent.hello["ppid"] != server.pid]
    assert len(new) == 2 and all(answers(agent) for agent in both)
    server.signal(signal.SIGTERM)           # the old one goes
    wait_for(lambda: all(agent.gone for agent in before), "the old workers' end")
    try:
        recycles(proxy, 2)
    finally:
        os.kill(new[0].hello["ppid"], signal.SIGTERM)
        wait_for(lambda: not alive(new[0].hello["ppid"]), "the new server's end")


def test_a_base_application_of_ones_own_is_hooked(serve, proxy, folder):
    program = write(folder, "custom.py", """
import sys
sys.path.insert(0, %r)
from gunicorn.app.base import BaseApplication
from apps.wsgi import app

class Standalone(BaseApplication):
    def load_config(self):
        self.cfg.set("bind", "unix:" + sys.argv[1])
        self.cfg.set("workers", 2)
    def load(self):
        return app

if __name__ == "__main__":
    Standalone().run()
""" % os.path.dirname(os.path.abspath(__file__)))
    serve(PY, ["python", program, "{public}"], proxy=proxy)
    assert all(answers(agent) for agent in recycles(proxy, 2))


def test_how_a_worker_ended_is_said_of_one_that_dies_while_another_is_reaped(serve, proxy, folder):
    config = write(folder, "conf.py", """
import os, signal
killed = []
def child_exit(server, worker):
    if not killed:
        killed.append(next(iter(server.WORKERS)))
        os.kill(killed[0], signal.SIGKILL)
        os.waitid(os.P_PID, killed[0], os.WEXITED | os.WNOWAIT)
""")
    serve(PY, gunicorn("-w", "2", "-c", config), proxy=proxy)
    first, second = (agent.pid for agent in proxy.ready(2))
    os.kill(first, signal.SIGTERM)
    words = wait_for(lambda: len(proxy.exited) >= 2 and proxy.exited, "the arbiter's words")
    assert {word["pid"]: word["status"] for word in words[:2]} == {first: 0, second: signal.SIGKILL}
    place = {key: proxy.hellos[0][key] for key in ("host", "pid_namespace")}
    assert place["pid_namespace"] and all(word[key] == place[key] for word in words for key in place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the user")
@pytest.mark.parametrize("kind", ["sync", "gevent"])
def test_workers_of_another_user_are_addressed_and_succeeded(kind, serve, proxy):
    serve(PY, gunicorn("-w", "2", "-k", kind, "-u", "nobody", "-g", "nogroup"), proxy=proxy)
    left = recycles(proxy, 2)
    assert all(answers(agent) for agent in left)
    assert os.stat(left[0].address[5:]).st_uid == 65534


@pytest.mark.parametrize("kind", ["sync", "uvicorn_worker.UvicornWorker"])
def test_private_listeners_may_be_tcp(kind, serve, folder):
    proxy = FakeProxy(folder, tcp=True)
    try:
        server = serve(PY, gunicorn("-w", "2", "-k", kind, module=module(kind)), {"PLIMSOLL_TOKEN": "s3cret"}, proxy)
        left = recycles(proxy, 2)
        assert all(agent.address.startswith("tcp:127.0.0.1:") and answers(agent) for agent in left)
        assert left[0].hello["token"] == "s3cret"
        os.kill(left[0].pid, signal.SIGKILL)    # the arbiter knows where the proxy is though it never looked up its name
        word = wait_for(lambda: [word for word in proxy.exited if word["pid"] == left[0].pid], "the arbiter's word")[0]
        assert word["status"] == signal.SIGKILL and word["token"] == "s3cret" and not word["boot_failed"]
        assert server.process.poll() is None
    finally:
        proxy.close()


def test_failed_successor_does_not_halt_the_arbiter_and_heals(serve, proxy, folder):
    path = write(folder, "fragile.py", "from apps.wsgi import app\n")
    server = serve(PY, gunicorn("-w", "2", "--pythonpath", folder, module="fragile:app"), proxy=proxy)
    old, other = proxy.ready(2)
    write(folder, "fragile.py", "import no_such_module\n")
    assert other.command("successor", pid=old.pid)["ok"]
    failed = wait_for(lambda: [word for word in proxy.exited if word["boot_failed"]], "the word of a failed boot")
    assert os.WIFEXITED(failed[0]["status"]) and os.WEXITSTATUS(failed[0]["status"]) != 0
    wait_for(lambda: len([word for word in proxy.exited if word["boot_failed"]]) >= 3, "two more tries")
    assert server.process.poll() is None and answers(old) and answers(other)
    write(folder, "fragile.py", "from apps.wsgi import app\n")
    os.utime(path, (2000000000, 2000000000))
    assert len(proxy.ready(3)) == 3
    assert other.command("retire", pid=old.pid)["ok"]
    assert all(answers(agent) for agent in proxy.ready(2))


def test_a_cancelled_successor_leaves_the_healthy_ones(serve, proxy, folder):
    write(folder, "fragile.py", "from apps.wsgi import app\n")
    server = serve(PY, gunicorn("-w", "2", "--pythonpath", folder, module="fragile:app"), proxy=proxy)
    old, other = proxy.ready(2)
    for broken in ("import no_such_module\n", "import time\ntime.sleep(60)\n"):
        write(folder, "fragile.py", broken)
        os.utime(os.path.join(folder, "fragile.py"), (len(broken), len(broken)))
        before = len(proxy.hellos)
        assert other.command("successor", pid=old.pid)["ok"]
        wait_for(lambda: len(proxy.hellos) > before, "a try")
        assert other.command("cancel")["ok"]
        wait_for(lambda: set(children(server.pid)) == {old.pid, other.pid}, "two workers again")
    write(folder, "fragile.py", "from apps.wsgi import app\n")
    os.utime(os.path.join(folder, "fragile.py"), (2000000000, 2000000000))
    assert answers(old) and answers(other) and not old.gone and not other.gone
    assert len(recycles(proxy, 2)) == 2


def test_a_worker_killed_while_its_successor_boots_is_not_replaced_twice(serve, proxy):
    server = serve(PY, gunicorn("-w", "2"), proxy=proxy)
    old, other = proxy.ready(2)
    assert other.command("successor", pid=old.pid)["ok"]
    os.kill(old.pid, signal.SIGKILL)
    wait_for(lambda: old.gone, "the death")
    left = proxy.ready(2)
    for _ in range(3):                      # the arbiter looks once a second
        wait_for(lambda: len(left[0].samples), "a sample")
        left[0].samples.clear()
    assert sorted(children(server.pid)) == sorted(agent.pid for agent in proxy.ready(2))


def test_a_first_batch_that_cannot_boot_ends_the_server_as_ever(serve, proxy):
    server = serve(PY, gunicorn("-w", "2", module="no_such_module:app"), proxy=proxy)
    assert server.exit_code() in (1, 3)     # 1: gunicorn 27 stumbles over the second worker that fails in the same instant


def test_without_the_variable_nothing_is_imported_or_changed(serve, folder):
    config = write(folder, "conf.py", """
def post_worker_init(worker):
    import sys, threading, gunicorn.arbiter
    print("MODULES", [name for name in sys.modules if name.startswith("plimsoll")])
    print("SOCKETS", len(worker.sockets), "SETUP", gunicorn.arbiter.Arbiter.setup.__module__, flush=True)
""")
    server = serve(PY, gunicorn("-c", config))
    server.serves()
    assert "MODULES []" in server.output() and "SOCKETS 1 SETUP gunicorn.arbiter" in server.output()


def test_a_proxy_that_is_away_is_dialled_again_quietly(serve, folder):
    proxy = FakeProxy(folder)
    proxy.close()
    server = serve(PY, gunicorn("-w", "1"), proxy=proxy)
    server.serves()
    wait_for(lambda: "Booting" in server.output(), "a boot")
    proxy.open()
    agent, = proxy.ready(1)
    proxy.close()
    wait_for(lambda: agent.gone, "the hang-up")
    proxy.open()
    again, = proxy.ready(1)
    assert again.pid == agent.pid and answers(again)
    assert "plimsoll" not in server.output()
    proxy.close()


@pytest.mark.parametrize("kind", CLASSES)
def test_a_private_listener_whose_folder_was_deleted_is_bound_anew(kind, serve, folder):
    """systemd deletes /run/plimsoll with all that is in it when the proxy stops. The timeout is what a sync worker waits at most."""
    os.mkdir(os.path.join(folder, "run"))
    proxy = FakeProxy(os.path.join(folder, "run"))
    server = serve(PY, gunicorn("-w", "2", "-k", kind, "--timeout", "600", module=module(kind)), proxy=proxy)
    before = proxy.ready(2)
    for _ in range(2):                      # and again
        assert all(answers(agent) for agent in before)
        proxy.close()
        wait_for(lambda: all(agent.gone for agent in before), "the hang-up")
        shutil.rmtree(os.path.join(folder, "run"))
        os.mkdir(os.path.join(folder, "run"))
        proxy.open()
        after = proxy.ready(2)
        assert [agent.pid for agent in after] == [agent.pid for agent in before]
        for agent in after:
            for _ in range(3):
                assert '"pid": %d' % agent.pid in ask(agent.address, timeout=3)
            path = agent.address[len("unix:"):]
            assert os.stat(path).st_mode & 0o777 == 0o600 and os.path.exists(agent.hello["stacks"])
        before = after
    recycles(proxy, 2)
    assert server.serves() == 200 and "plimsoll: [" not in server.output()
    server.signal(signal.SIGTERM)
    server.exit_code()
    left = os.listdir(os.path.join(folder, "run", "workers"))
    assert left == [], "the arbiter removes them as ever"
    proxy.close()


def test_a_worker_forked_while_the_folder_is_deleted_is_found_in_it_again(serve, folder):
    os.mkdir(os.path.join(folder, "run"))
    proxy = FakeProxy(os.path.join(folder, "run"))
    serve(PY, gunicorn("-w", "1"), proxy=proxy, environ={"TMPDIR": folder})
    before, = proxy.ready(1)
    proxy.close()
    shutil.rmtree(os.path.join(folder, "run"))
    write(folder, "run", "")                # as a user that may not make it anew finds it
    os.kill(before.pid, signal.SIGTERM)
    wait_for(lambda: not alive(before.pid), "its end")
    wait_for(lambda: [name for found in glob.glob(os.path.join(folder, "plimsoll-*")) for name in os.listdir(found)], "another place")
    os.unlink(os.path.join(folder, "run"))
    os.mkdir(os.path.join(folder, "run"))
    proxy.open()
    after, = proxy.ready(1)
    assert after.pid != before.pid and answers(after)
    assert os.path.dirname(after.address) == "unix:" + os.path.join(folder, "run", "workers")
    assert not [name for found in glob.glob(os.path.join(folder, "plimsoll-*")) for name in os.listdir(found) if "sock" in name]
    proxy.close()


def test_a_refusal_is_told_once(serve, folder):
    proxy = FakeProxy(folder, refusal="no pool awaits agents")
    server = serve(PY, gunicorn("-w", "1"), proxy=proxy)
    server.serves()
    wait_for(lambda: proxy.hellos, "a hello")
    wait_for(lambda: "no pool awaits agents" in server.output(), "the reason")
    assert server.output().count("no pool awaits agents") == 1
    proxy.close()


def test_no_thread_of_ours_is_in_the_arbiter(serve, proxy):
    server = serve("debian", gunicorn("-w", "2"), proxy=proxy)       # gunicorn 27's own control socket is a thread there
    recycles(proxy, 2)
    assert len(os.listdir("/proc/%d/task" % server.pid)) == 1
    pid = proxy.ready(2)[0].pid
    assert len(os.listdir("/proc/%d/task" % pid)) == 2


def test_the_application_sees_nothing_of_the_agent(serve, proxy):
    serve(PY, gunicorn("-w", "1", "-k", "gthread"), proxy=proxy)
    agent, = proxy.ready(1)
    assert "plimsoll" not in ask(agent.address)                      # threading.enumerate()
    status, _ = request(agent.address, "/raise")
    assert status == 500
    assert answers(agent) and not agent.gone


@pytest.mark.parametrize("how", ["installed", "started"])
def test_the_gevent_workers_agent_is_native(how, serve, proxy, folder):
    """A greenlet would be silent while the application computes. `started`: our modules are imported after gevent's patches."""
    if how == "installed":
        serve(PY, gunicorn("-w", "1", "-k", "gevent"), proxy=proxy)
    else:
        write(folder, "started.py", "import plimsoll_agent\nplimsoll_agent.start()\nfrom apps.wsgi import app\n")
        serve(PY, ["python", "-c", STARTER] + gunicorn("-w", "1", "-k", "gevent", "--pythonpath", folder, module="started:app")[3:],
              {"LATER_CONTROL": proxy.address})
    agent, = proxy.ready(1)
    wait_for(lambda: agent.samples, "a sample")
    agent.samples.clear()
    ask(agent.address, "/busy")             # 2 s of computing, a sample each 0.2 s
    assert len(agent.samples) >= 4          # a greenlet gets 1


@pytest.mark.parametrize("kind", ["sync", "gevent"])
def test_idle_agent_costs_less_than_half_a_percent(kind, serve, folder):
    proxy = FakeProxy(folder, interval=1.0)
    serve(PY, gunicorn("-w", "1", "-k", kind), proxy=proxy)
    agent, = proxy.ready(1)
    agent.settle()

    def spent():
        """Seconds of CPU by thread, without the main one."""
        found = {}
        for task in os.listdir("/proc/%d/task" % agent.pid):
            try:
                with open("/proc/%d/task/%s/schedstat" % (agent.pid, task)) as file:
                    found[task] = int(file.read().split()[0]) / 1e9
            except FileNotFoundError:       # a command's, just over
                pass
        found.pop(str(agent.pid))
        return found
    before, seen = spent(), len(agent.samples)
    wait_for(lambda: len(agent.samples) >= seen + 8, "eight samples", 20)
    after = spent()
    assert after
    share = sum(seconds - before[task] for task, seconds in after.items()) / 8
    print("idle agent: %.3f %% of a core" % (share * 100), file=sys.stderr)
    assert share < 0.005
    proxy.close()


def test_start_in_the_configuration_or_the_application_does_as_well(serve, proxy, folder):
    config = write(folder, "conf.py", "import plimsoll_agent\nplimsoll_agent.start()\n")
    serve(PY, gunicorn("-w", "2", "-c", config), proxy=proxy)
    assert all(answers(agent) for agent in recycles(proxy, 2))


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent", "asgi", "uvicorn_worker.UvicornWorker"])
def test_start_in_the_application_finds_its_worker(kind, serve, proxy, folder):
    """Without the .pth file: PYTHONPATH-less copies and frozen deployments have only this line."""
    write(folder, "started.py", "import plimsoll_agent\nplimsoll_agent.start()\nfrom %s import app\n" % module(kind).partition(":")[0])
    server = serve(PY, ["python", "-c", STARTER] + gunicorn("-w", "2", "-k", kind, "--pythonpath", folder, module="started:app")[3:],
                   {"LATER_CONTROL": proxy.address})
    workers = proxy.ready(2)
    assert all(answers(agent) for agent in workers)
    refused = workers[0].command("successor", pid=workers[1].pid)
    assert not refused["ok"] and "arbiter" in refused["error"]
    os.kill(workers[0].pid, signal.SIGTERM)
    wait_for(lambda: workers[0].gone and not os.path.exists(workers[0].address[5:]), "the worker's end, and its socket's")
    assert len(proxy.ready(2)) == 2 and server.process.poll() is None


STARTER = """
import os, sys
os.environ["PLIMSOLL_CONTROL"] = os.environ["LATER_CONTROL"]        # after the interpreter's start: the .pth file did nothing
sys.argv[0] = "gunicorn"
from gunicorn.app.wsgiapp import run
run()
"""


def test_preload_with_start_in_the_application_survives_hup(serve, proxy, folder):
    write(folder, "started.py", "import plimsoll_agent\nplimsoll_agent.start()\nfrom apps.wsgi import app\n")
    server = serve(PY, ["python", "-c", STARTER] + gunicorn("-w", "2", "--preload", "--pythonpath", folder, module="started:app")[3:],
                   {"LATER_CONTROL": proxy.address})
    before = recycles(proxy, 2)
    server.signal(signal.SIGHUP)
    wait_for(lambda: all(agent.gone for agent in before), "the end of the old workers")
    assert len(recycles(proxy, 2)) == 2


@pytest.mark.parametrize("tcp", [False, True])
def test_a_forked_child_of_the_application_does_not_keep_a_dead_worker_alive(tcp, serve, folder):
    proxy = FakeProxy(folder, tcp=tcp)
    serve(PY, gunicorn("-w", "1"), proxy=proxy)
    agent, = proxy.ready(1)
    ask(agent.address, "/fork")
    os.kill(agent.pid, signal.SIGKILL)
    wait_for(lambda: agent.gone, "the hang-up")

    def refused():
        try:
            request(agent.address, timeout=2)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except ConnectionResetError:        # it was in the backlog of the one that died
            return False
    wait_for(refused, "a refusal at the dead worker's address")
    proxy.close()


def test_signals_go_to_the_family_only(serve, proxy):
    serve(PY, gunicorn("-w", "2"), proxy=proxy)
    one, other = proxy.ready(2)
    refused = one.command("signal", pid=os.getpid(), signal=0)
    assert not refused["ok"] and "no sibling" in refused["error"]
    assert one.command("signal", pid=other.pid, signal=int(signal.SIGTERM))["ok"]
    wait_for(lambda: other.gone, "the end")
    assert len(proxy.ready(2)) == 2
