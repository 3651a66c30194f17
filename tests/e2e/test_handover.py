"""A new binary, or other listeners, without one failed request."""
import copy
import os
import signal
import socket
import sys
import threading

import pytest
from harness import processes, toml
from harness.fleets import fleet
from harness.load import Load, verdict
from harness.proxy import free_port
from harness.waiting import PATIENCE, until


def independent_workers(proxy, workers=2):
    """Servers that somebody else supervises: the only ones that outlive the proxy."""
    addresses = []
    for number in range(workers):
        path = proxy.directory / ("w%d.sock" % number)
        proxy.beside([sys.executable, "-m", "uvicorn", "--uds", path, "--log-level", "warning", "echo:asgi"])
        until(path.exists, 20, "worker %d listens" % number)
        addresses.append("unix:%s" % path)
    return {"pool": [{"name": "app", "source": {"kind": "static", "addresses": addresses}}]}


def serving_processes(proxy):
    return sorted(pid for pid, line in processes.marked(proxy.mark).items() if " serve " in " %s " % line)


def hand_over(proxy, pid):
    """The pid of the successor, when its predecessor has gone."""
    os.kill(pid, signal.SIGUSR2)
    def alone():
        if pid == proxy.process.pid:
            proxy.process.poll()
        now = serving_processes(proxy)
        return now[0] if len(now) == 1 and now[0] != pid else None
    return until(alone, 60, "%d has a successor and is gone" % pid, pause=0.05)


def stop_successor(proxy, pid):
    os.kill(pid, signal.SIGTERM)
    until(lambda: not serving_processes(proxy), 30, "the successor stops")


@pytest.mark.asan
def test_handovers_under_load_fail_no_request(plimsoll, soak):
    proxy = plimsoll()
    unix = proxy.directory / "listen.sock"
    proxy.configure({**independent_workers(proxy),
                     "listener": [{"address": "127.0.0.1:%d" % proxy.port}, {"address": "unix:%s" % unix}]}).start()
    proxy.wait_serving(2)
    pid, handovers = proxy.process.pid, 20 if soak else 4
    with Load(proxy.address, connections=16, timeout=30 * PATIENCE) as load, \
            Load(proxy.address, connections=4, timeout=30 * PATIENCE, seed=2, fresh=True) as newcomers:
        for _ in range(handovers):
            load.run_until(load.requests + 200, bound=60 * PATIENCE)
            pid = hand_over(proxy, pid)
            assert proxy.admin.ready(), "the admin address is the successor's"
            assert unix.exists(), "its predecessor took the socket away"
        load.run_until(load.requests + 200, bound=60 * PATIENCE)
    assert proxy.process.wait(30) == 0
    for each in load, newcomers:
        verdict(each, proxy.ledger).check()
    assert proxy.log_text().count("handed_over") == handovers
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(unix))
    stop_successor(proxy, pid)
    assert not unix.exists(), "the last one takes it away"


def test_nobody_hears_that_the_service_is_not_ready_while_a_successor_starts(plimsoll):
    proxy = plimsoll()
    slow = independent_workers(proxy, 1)
    slow["pool"][0]["health"] = {"path": "/echo/health?pause=0.5"}          # until then it does not know whether anybody serves
    proxy.configure({**slow, "listener": [{"address": "127.0.0.1:%d" % proxy.port, "health_path": "/-/ready"}]}).start()
    proxy.wait_serving(1)
    told, over = [], threading.Event()

    def ask_on():
        while not over.is_set():
            told.append(("health_path", proxy.get("/-/ready").status))
            try:
                told.append(("readyz", proxy.admin.get("/readyz").status))
            except OSError:                                     # the admin address is not under load: one may come to who closes it
                pass
    asker = threading.Thread(target=ask_on)
    asker.start()
    pid = proxy.process.pid
    for _ in range(3):
        pid = hand_over(proxy, pid)
    over.set()
    asker.join()
    assert {what for what, _ in told} == {"health_path", "readyz"}
    assert [each for each in told if each[1] != 200] == [], "of %d" % len(told)
    assert proxy.process.wait(30) == 0
    stop_successor(proxy, pid)


def test_a_successor_whose_predecessor_dies_is_alone_and_stays(plimsoll):
    proxy = plimsoll()
    some = independent_workers(proxy, 1)["pool"] + [{"name": "down", "source": {"kind": "static", "addresses": ["127.0.0.1:1"]}}]
    routes = [{"path": "/down", "pool": "down"}, {"path": "/", "pool": "app"}]
    proxy.configure({"pool": some, "route": routes, "listener": [{"address": "127.0.0.1:%d" % proxy.port, "health_path": "/-/ready"}]})
    proxy.start(ready=0)
    until(lambda: " started " in proxy.log_text(), 30, "it has started")
    proxy.wait_serving(1)
    proxy.process.send_signal(signal.SIGUSR2)
    until(lambda: proxy.log_text().count(" started ") == 2, 30, "a successor has started", pause=0.01)
    pid, = set(serving_processes(proxy)) - {proxy.process.pid}
    proxy.process.kill()
    proxy.process.wait(30)
    until(lambda: proxy.admin.get("/readyz").status == 503, 10, "nobody serves in its place any more")
    assert proxy.get("/-/ready").status == 200 and proxy.get("/echo/1?size=1").status == 200
    assert serving_processes(proxy) == [pid]
    stop_successor(proxy, pid)
    proxy.process = None                                        # it was killed, and has no exit code to be looked at


class Starting:
    """A handover to a successor that waits for its only worker, whose health check answers when it is let."""

    def __init__(self, proxy, **more):
        self.proxy, self.gate = proxy, proxy.directory / "healthy"
        self.gate.touch()
        self.unix = proxy.directory / "listen.sock"
        one = independent_workers(proxy, 1)
        one["pool"][0].update(health={"path": "/held?until=%s" % self.gate, "interval": "60s", "expect": ["200"]}, queue={"timeout": "500ms"})
        proxy.configure({**one, "admin": {"listen": "unix:%s" % (proxy.directory / "admin.sock")},
                         "listener": [{"address": "127.0.0.1:%d" % proxy.port}, {"address": "unix:%s" % self.unix}], **more})
        proxy.admin.address = proxy.config["admin"]["listen"]
        proxy.start()
        proxy.wait_serving(1)

    def begin(self):
        self.gate.unlink()
        self.proxy.process.send_signal(signal.SIGUSR2)
        until(lambda: self.proxy.log_text().count(" started ") == 2, 30, "a successor has started", pause=0.01)

    def finish(self):
        self.gate.touch()
        return until(lambda: "handed_over" in self.proxy.log_text(), 30, "it serves", pause=0.01)

    def successor(self):
        pid, = set(serving_processes(self.proxy)) - {self.proxy.process.pid}
        return pid

    def newcomers(self, count):
        return [self.proxy.get("/echo/new-%d?size=1" % number).status for number in range(count)]


def test_a_successor_takes_no_client_before_it_has_a_worker(plimsoll):
    handover = Starting(plimsoll())
    handover.begin()
    assert handover.newcomers(40) == [200] * 40
    handover.finish()
    assert handover.newcomers(40) == [200] * 40
    pid = until(handover.successor, 10, "the successor")
    assert handover.proxy.process.wait(30) == 0
    stop_successor(handover.proxy, pid)


def test_a_stop_while_a_successor_starts_ends_both_and_leaves_no_socket(plimsoll):
    handover = Starting(plimsoll())
    handover.begin()
    successor = handover.successor()
    handover.proxy.process.send_signal(signal.SIGTERM)
    assert handover.proxy.process.wait(30) == 0
    assert not os.path.exists("/proc/%d" % successor)
    assert not handover.unix.exists() and not handover.proxy.control.exists()
    handover.gate.touch()
    handover.proxy.start()                                      # nothing is in its way
    handover.proxy.wait_serving(1)


def test_a_stop_of_one_that_has_handed_over_cuts_no_request(plimsoll):
    handover = Starting(plimsoll())
    answers = []
    slow = threading.Thread(target=lambda: answers.append(handover.proxy.get("/echo/slow?size=1&pause=2").status))
    slow.start()
    until(lambda: handover.proxy.admin.workers()[0]["in_flight"] == 1, 10, "it is served")
    handover.begin()
    handover.finish()
    handover.proxy.process.send_signal(signal.SIGTERM)          # by whoever knows this process only
    slow.join()
    assert answers == [200]
    assert handover.proxy.process.wait(30) == 0
    stop_successor(handover.proxy, handover.successor())


def test_a_reload_while_a_successor_starts_is_refused_not_lost(plimsoll):
    handover = Starting(plimsoll())
    handover.begin()
    refused = handover.proxy.admin.post("/v1/config/reload")
    assert refused.status == 422 and b"a successor is starting" in refused.body, repr(refused)
    os.kill(handover.successor(), signal.SIGHUP)
    until(lambda: "is starting beside its predecessor" in handover.proxy.log_text(), 10, "the successor refuses it, too")
    handover.finish()
    pid = until(handover.successor, 10, "the successor")
    assert handover.proxy.process.wait(30) == 0
    assert handover.proxy.admin.post("/v1/config/reload").status == 200
    stop_successor(handover.proxy, pid)


def test_a_successor_that_does_not_start_changes_nothing(plimsoll):
    proxy = plimsoll()
    unix = proxy.directory / "listen.sock"
    proxy.configure({**independent_workers(proxy),
                     "listener": [{"address": "127.0.0.1:%d" % proxy.port}, {"address": "unix:%s" % unix}]}).start()
    proxy.wait_serving(2)
    good = proxy.config_path.read_text()
    proxy.config_path.write_text("this is no configuration")
    with Load(proxy.address, connections=8, timeout=30 * PATIENCE) as load:
        proxy.process.send_signal(signal.SIGUSR2)
        until(lambda: "handover_failed" in proxy.log_text(), 30, "the log tells that it failed")
        load.run_until(load.requests + 200, bound=60 * PATIENCE)
    verdict(load, proxy.ledger).check()
    assert serving_processes(proxy) == [proxy.process.pid] and proxy.admin.ready()
    taken = socket.create_server(("127.0.0.1", 0))             # it comes further: it has the sockets when it gives up
    config = copy.deepcopy(proxy.config)
    config["admin"] = {"listen": "127.0.0.1:%d" % taken.getsockname()[1]}
    proxy.config_path.write_text(toml.dumps(config))
    proxy.process.send_signal(signal.SIGUSR2)
    until(lambda: proxy.log_text().count("handover_failed") == 2, 30, "the second one fails, too")
    taken.close()
    assert unix.exists() and proxy.control.exists(), "it took files of its predecessor away"
    proxy.config_path.write_text(good)
    stop_successor(proxy, hand_over(proxy, proxy.process.pid))


def test_workers_of_our_own_are_no_successors_and_the_log_says_what_to_do(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2)).start()
    proxy.wait_serving(2)
    proxy.process.send_signal(signal.SIGUSR2)
    line = until(lambda: [line for line in proxy.log_text().splitlines() if "handover_refused" in line], 10, "it is refused")[0]
    assert "pool app" in line and "static" in line, line
    assert proxy.get("/echo/1?size=1").status == 200


def test_reloads_that_move_listeners_under_load_fail_no_request(plimsoll):
    proxy = plimsoll(fleet("sync")).start()
    proxy.wait_serving(4)
    config = copy.deepcopy(proxy.config)
    stays = config["listener"][0]
    with Load(proxy.address, connections=16, timeout=30 * PATIENCE) as load:
        for number in range(10):
            port = free_port()
            config["listener"] = [{"address": "127.0.0.1:%d" % port}, stays] if number % 2 else [stays, {"address": "127.0.0.1:%d" % port}]
            proxy.config_path.write_text(toml.dumps(config))
            answer = proxy.admin.post("/v1/config/reload")
            assert answer.status == 200 and answer.json["needs_restart"] == [], repr(answer)
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(b"GET /echo/new-%d?size=1 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n" % number)
                assert client.recv(100).startswith(b"HTTP/1.1 200 ")
            load.run_until(load.requests + 50, bound=60 * PATIENCE)
    verdict(load, proxy.ledger).check()


def test_a_listener_that_cannot_be_opened_refuses_the_whole_reload(plimsoll):
    proxy = plimsoll(fleet("sync", workers=1)).start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = copy.deepcopy(proxy.config)
        config["listener"].append({"address": "127.0.0.1:%d" % taken.getsockname()[1]})
        config["route"][0]["path"] = "/elsewhere"
        proxy.config_path.write_text(toml.dumps(config))
        answer = proxy.admin.post("/v1/config/reload")
        assert 400 <= answer.status < 500 and b"is taken by another process" in answer.body, repr(answer)
    assert proxy.get("/echo/1?size=1").status == 200, "the routes are the old ones"
