"""The evidence: what it holds, what it costs, and that it comes from workers in a bad state too."""
import json
import os
import signal
import subprocess
import threading
import time

import pytest

import venvs
from fake_proxy import FakeProxy, wait_for
from servers import alive, ask, gunicorn, request

PY = "py311"
VENVS = ["py38", "py311", "py312", "py313", "debian"]


def one_worker(serve, proxy, *options, venv=PY, module="apps.wsgi:app"):
    serve(venv, gunicorn("-w", "1", *options, module=module), proxy=proxy)
    agent, = proxy.ready(1)
    agent.settle()
    return agent


def serve_with_slow_gc(serve, proxy, folder, seconds):
    """One worker in which a full collection takes so long: the first long step of a capture."""
    with open(os.path.join(folder, "slow_gc.py"), "w") as file:
        file.write("from apps.wsgi import app\nimport gc, time\n"
                   "gc.callbacks.append(lambda phase, info: time.sleep(%r) if info['generation'] == 2 and phase == 'start' else None)\n" % seconds)
    serve(PY, gunicorn("-w", "1", "--pythonpath", folder, module="slow_gc:app"), proxy=proxy)


def in_background(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def try_to_ask(address, path):
    try:
        request(address, path, timeout=20)
    except OSError:
        pass


@pytest.mark.parametrize("venv", VENVS)
def test_a_trace_is_a_snapshot_that_tracemalloc_loads(venv, serve, proxy, folder):
    agent = one_worker(serve, proxy, venv=venv)
    assert agent.command("trace_start", frames=5)["ok"]
    for _ in range(3):
        ask(agent.address, "/order")
    result = agent.command("trace_stop", top=5)
    assert result["ok"]
    first = result["data"]["lines"][0]
    assert first["file"].endswith("apps/wsgi.py") and first["count"] >= 300 and 2000 <= first["bytes"] / 300 < 2400
    made = first["traceback"][0].rpartition(":")
    path = os.path.join(folder, "trace.snapshot")
    with open(path, "wb") as file:
        file.write(result["files"]["trace.snapshot"])
    load = ("import tracemalloc, sys; s = tracemalloc.Snapshot.load(sys.argv[1]); best = s.statistics('lineno')[0]; "
            "print(s.traceback_limit, best.traceback[0].filename, best.traceback[0].lineno, best.count)")
    loaded = subprocess.check_output([venvs.python_of(venv), "-c", load, path]).decode().split()
    assert loaded == ["5", made[0], made[2], "300"]
    stack, _, size = result["files"]["trace.folded"].decode().splitlines()[0].rpartition(" ")
    inner = "Order.__init__" if venv in ("py311", "py312", "py313", "debian") else "__init__"
    assert stack.rpartition(";")[2] == "apps/wsgi.py:%s %s" % (made[2], inner) and 2000 <= int(size) / 300 < 2100
    again = agent.command("trace_stop")
    assert not again["ok"] and "no trace is on" in again["error"]


def test_a_trace_ends_by_itself(serve, proxy):
    agent = one_worker(serve, proxy)
    assert agent.command("trace_start", seconds=0.1)["ok"]
    seen = len(agent.samples)
    wait_for(lambda: len(agent.samples) > seen + 2, "the next looks at the clock")
    late = agent.command("trace_stop")
    assert not late["ok"] and "ended by itself" in late["error"]


def test_an_applications_own_trace_is_left_alone(serve, proxy):
    serve(PY, gunicorn("-w", "1"), {"PYTHONTRACEMALLOC": "1"}, proxy)
    agent, = proxy.ready(1)
    refused = agent.command("trace_start")
    assert not refused["ok"] and "by itself" in refused["error"]
    assert agent.command("capture_b")["ok"]


@pytest.mark.parametrize("venv", VENVS)
def test_the_leaking_class_is_at_the_top_with_its_keeper(venv, serve, proxy):
    agent = one_worker(serve, proxy, venv=venv)
    for _ in range(5):
        ask(agent.address, "/order")
    result = agent.command("capture_b", top=5)
    assert result["ok"] and not result["data"]["missed"], result
    top = result["data"]["types"][0]
    assert top["type"] == "apps.wsgi.Order" and top["delta"] == 500, result["data"]["types"]
    assert 2000 < top["delta_bytes"] / 500 < 2400
    assert any("apps.wsgi.cache (dict, 500 items)" in kept and "Order" in kept for kept in result["data"]["retainers"])
    container = result["data"]["containers"][0]
    assert container["kept_by"] == "apps.wsgi.cache (dict, 500 items)" and container["grown"] == 500
    assert set(result["files"]) == {"census.json", "retainers.txt", "retainers.dot", "retainers.svg", "stacks-drained.txt"}
    census = json.loads(result["files"]["census.json"].decode())
    assert census["now"]["apps.wsgi.Order"]["count"] == 500 and "apps.wsgi.Order" not in census["boot"]
    memory = result["data"]["memory"]
    assert memory["before"]["rss"] and memory["after_collect"]["rss"] and memory["after_trim"]["rss"]
    assert 0 < result["data"]["phase_b_seconds"] < 10
    assert result["data"]["mallinfo"] is None or result["data"]["mallinfo"]["uordblks"] > 0


def test_a_leaking_worker_is_held_against_a_healthy_sibling(serve, proxy):
    serve(PY, gunicorn("-w", "2"), proxy=proxy)
    leaking, healthy = proxy.ready(2)
    leaking.settle(), healthy.settle()
    ask(healthy.address, "/order")
    for _ in range(5):
        ask(leaking.address, "/order")
    told = healthy.command("census")
    assert told["ok"] and told["data"]["types"]["apps.wsgi.Order"]["count"] == 100, told
    assert len(told["data"]["types"]) > 50 and told["data"]["frozen"] == 0 and told["data"]["looked_into"] > 0
    few = healthy.command("census", types=3)["data"]["types"]
    assert len(few) == 3 and min(each["bytes"] for each in few.values()) > 10000
    sibling = dict(told["data"]["types"], requests=7)
    result = leaking.command("capture_b", top=5, sibling=sibling)
    assert result["ok"] and not result["data"]["missed"], result
    census = json.loads(result["files"]["census.json"].decode())
    assert census["sibling"] == told["data"]["types"] and census["sibling_requests"] == 7
    assert census["now"]["apps.wsgi.Order"]["count"] == 500
    first = census["against_sibling"][0]
    assert first["type"] == "apps.wsgi.Order" and first["delta"] == 400 and 2000 < first["delta_bytes"] / 400 < 2400
    assert [row["type"] for row in census["against_sibling"]] == [row["type"] for row in result["data"]["types"]]
    assert result["data"]["against_sibling"] == census["against_sibling"]
    assert healthy.command("ping")["ok"] and ask(healthy.address)


@pytest.mark.parametrize("sibling", [5, {}, {"requests": "many", "list": 4, "dict": {"count": "x"}}])
def test_a_sibling_that_is_none_costs_nothing_else(sibling, serve, proxy):
    agent = one_worker(serve, proxy)
    result = agent.command("capture_b", sibling=sibling)
    census = json.loads(result["files"]["census.json"].decode())
    assert not result["data"]["missed"] and census["sibling"] is None and census["against_sibling"] is None
    assert "against_sibling" not in result["data"]


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
def test_a_preloaded_application_is_counted_before_the_fork(kind, serve, proxy):
    agent = one_worker(serve, proxy, "--preload", "-k", kind)
    for _ in range(5):
        ask(agent.address, "/bytes")
    result = agent.command("capture_b", top=5)
    assert result["data"]["types"][0]["type"] == "bytes" and result["data"]["types"][0]["delta"] > 450
    assert any("apps.wsgi.held (list, 500 items)" in kept for kept in result["data"]["retainers"])


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
def test_stacks_of_a_busy_worker_come_at_once(kind, serve, proxy):
    """100 % of the CPU in pure Python: the thread gets its turns."""
    agent = one_worker(serve, proxy, "-k", kind)
    client = in_background(ask, agent.address, "/busy")
    began = time.monotonic()

    def busy():
        capture = agent.command("capture_a")
        return capture if capture["data"]["requests"] else None
    capture = wait_for(busy, "the request in the capture", 2)
    assert 0 < capture["data"]["phase_a_seconds"] <= time.monotonic() - began < 2
    assert capture["data"]["requests"][0]["method"] == "GET" and capture["data"]["requests"][0]["path"] == "/busy"
    stacks = capture["files"]["stacks.txt"].decode()
    assert "sum(range(1000))" in stacks or "while time.monotonic() < ends" in stacks    # the loop has two lines
    client.join()


def test_greenlets_are_among_the_stacks(serve, proxy):
    agent = one_worker(serve, proxy, "-k", "gevent")
    clients = [in_background(ask, agent.address, "/slow") for _ in range(3)]

    def three():
        capture = agent.command("capture_a")
        return capture if len(capture["data"]["requests"]) == 3 else None
    capture = wait_for(three, "three requests in greenlets", 5)
    assert capture["files"]["stacks.txt"].decode().count("time.sleep(1.0)") == 3
    for client in clients:
        client.join()


@pytest.mark.parametrize("kind,venv", [("sync", PY), ("gthread", PY), ("gevent", PY), ("sync", "py38"), ("sync", "py313"),
                                       ("sync", "debian"), ("gthread", "debian")])
def test_a_worker_that_holds_the_gil_leaves_its_stacks(kind, venv, serve, proxy):
    server = serve(venv, gunicorn("-w", "2", "-k", kind, "-t", "60"), proxy=proxy)
    stuck, other = proxy.ready(2)
    in_background(try_to_ask, stuck.address, "/gil")

    def silent():
        seen = len(stuck.samples)
        time.sleep(0.05)
        stuck_for.append(seen)
        return len(stuck_for) > 20 and len(set(stuck_for[-20:])) == 1
    stuck_for = []
    wait_for(silent, "the silence of the stuck worker")
    result = other.command("stacks", pid=stuck.pid, deadline=5)
    assert result["ok"], result
    text = result["files"]["stacks.txt"].decode()
    assert "Aborted" in text and "wsgi.py" in text and "in app" in text
    assert stuck.hello["stacks"] == os.path.join(os.path.dirname(stuck.address[5:]), "stacks.%d.txt" % stuck.pid)
    os.kill(stuck.pid, signal.SIGKILL)
    assert len(proxy.ready(2)) == 2 and server.process.poll() is None
    assert os.path.getsize(stuck.hello["stacks"]) > 0               # kept for whoever fetches it


def test_a_faulthandler_of_the_applications_own_keeps_its_choice_and_ours_has_a_signal_of_its_own(serve, proxy):
    serve(PY, gunicorn("-w", "2", "-t", "60"), {"PYTHONFAULTHANDLER": "1"}, proxy)
    stuck, other = proxy.ready(2)
    assert signal.SIGRTMIN <= stuck.hello["stacks_signal"] <= signal.SIGRTMAX
    in_background(try_to_ask, stuck.address, "/gil")
    last = [0.0]

    def silent():
        seen = len(stuck.samples)
        time.sleep(0.05)
        last.append(seen)
        return len(last) > 20 and len(set(last[-20:])) == 1
    wait_for(silent, "the silence of the stuck worker")
    result = other.command("stacks", pid=stuck.pid, deadline=5)
    assert result["ok"], result
    text = result["files"]["stacks.txt"].decode()
    assert "wsgi.py" in text and "in app" in text and "Aborted" not in text


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent", "asgi", "uvicorn_worker.UvicornWorker"])
def test_gunicorns_own_abort_still_ends_the_worker(kind, serve, proxy, folder):
    path = os.path.join(folder, "conf.py")
    with open(path, "w") as file:
        file.write("def worker_abort(worker):\n    print('USER worker_abort', flush=True)\n")
    module = "apps.wsgi:app" if kind in ("sync", "gthread", "gevent") else "apps.asgi:app"
    server = serve(PY, gunicorn("-w", "1", "-k", kind, "-c", path, module=module), proxy=proxy)
    agent, = proxy.ready(1)
    os.kill(agent.pid, signal.SIGABRT)
    wait_for(lambda: agent.gone and not alive(agent.pid), "the end")
    with open(agent.hello["stacks"]) as file:
        assert "most recent call first" in file.read()
    if not kind.startswith("uvicorn"):      # that class takes the default action, with and without us
        assert "USER worker_abort" in server.output()
    assert proxy.ready(1)


def test_a_healthy_life_leaves_no_file(serve, proxy):
    agent = one_worker(serve, proxy)
    folder = os.path.dirname(agent.address[5:])
    os.kill(agent.pid, signal.SIGTERM)
    wait_for(lambda: agent.gone, "the end")
    successor, = proxy.ready(1)
    wait_for(lambda: sorted(os.listdir(folder)) == sorted(
        [os.path.basename(successor.address), "stacks.%d.txt" % successor.pid]), "a clean folder")


def test_a_second_command_is_told_busy_and_samples_go_on(serve, proxy, folder):
    serve_with_slow_gc(serve, proxy, folder, seconds=3)
    agent, = proxy.ready(1)
    first = agent.ask("capture_b", deadline=1.0)
    busy = agent.command("ping")
    assert not busy["ok"] and busy["error"] == "busy"
    seen = len(agent.samples)
    result = wait_for(lambda: agent.results.get(first), "the answer at the deadline", 2.5)
    assert not result["ok"] and result["error"] == "deadline"
    wait_for(lambda: len(agent.samples) > seen + 3, "samples beside the command")
    wait_for(lambda: agent.command("ping")["ok"], "the end of the hanging command")
    assert agent.results[first] is result


def test_a_short_deadline_gives_what_there_was_time_for(serve, proxy, folder):
    serve_with_slow_gc(serve, proxy, folder, seconds=1)
    agent, = proxy.ready(1)
    result = agent.command("capture_b", deadline=1.5)
    assert result["ok"] and result["data"]["memory"]["before"]["rss"]
    assert "no time" in result["data"]["missed"].values()


def test_an_unknown_command_is_refused(serve, proxy):
    agent = one_worker(serve, proxy)
    result = agent.command("dance")
    assert not result["ok"] and "dance" in result["error"]


def test_a_command_right_behind_an_answer_is_not_told_busy(serve, proxy):
    agent = one_worker(serve, proxy)
    for _ in range(200):
        assert agent.command("ping")["ok"]


def test_trim_gives_memory_back(serve, proxy):
    agent = one_worker(serve, proxy)
    result = agent.command("trim")
    assert result["ok"] and result["data"]["memory"]["after"]["rss"] > 0


def test_what_is_open_is_told_of_a_worker_that_serves(serve, proxy):
    agent = one_worker(serve, proxy)
    told = agent.command("open")["data"]["open"]
    assert set(told) == {"descriptors", "threads", "children", "tasks"}
    assert told["descriptors"]["socket, unix"] >= 1 and told["children"] == {}, told


def test_a_capture_outlives_its_connection(serve, folder):
    proxy = FakeProxy(folder)
    serve(PY, gunicorn("-w", "1"), proxy=proxy)
    agent, = proxy.ready(1)
    agent.ask("capture_b")
    proxy.close()
    wait_for(lambda: agent.gone, "the hang-up")
    proxy.open()
    again, = proxy.ready(1)
    wait_for(lambda: again.command("ping")["ok"], "an agent that is not busy")
    assert '"pid": %d' % again.pid in ask(again.address)
    proxy.close()
