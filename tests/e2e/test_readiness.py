"""What an operator and the load balancers in front are told of a proxy that does not serve yet, or not for long any more."""
import http.client
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from harness import toml
from harness.fleets import fleet, pool
from harness.waiting import PATIENCE, until

pytestmark = pytest.mark.asan

HEALTH = "/-/ready"


def static(name, address, **sections):
    return {"name": name, "source": {"kind": "static", "addresses": [address]}, **sections}


def with_health_path(proxy):
    return [{"address": "127.0.0.1:%d" % proxy.port, "health_path": HEALTH}]


def alive(proxy):
    proxy.start(ready=0)
    def answers():
        try:
            return proxy.admin.get("/healthz").status == 200
        except OSError:
            return False
    until(answers, 20, "it is alive")
    return proxy


def test_a_worker_that_is_waited_for_has_its_reason_in_every_place_that_is_looked_at(plimsoll):
    proxy = alive(plimsoll({"pool": [static("app", "127.0.0.1:1")]}))
    until(lambda: "connection refused" in proxy.cli("workers", "--admin", proxy.admin.address).stdout.lower(), 10, "the list tells why")
    status = proxy.cli("status", "--admin", proxy.admin.address)
    assert "pool app: no worker serves (app-1: " in status.stdout, status.stdout
    assert "refused" in proxy.admin.get("/readyz").body.decode().lower()
    until(lambda: "worker_not_ready" in proxy.log_text(), 10, "the log tells why, long before ready_timeout")


def test_a_pool_that_a_reload_took_all_routes_from_does_not_keep_the_proxy_from_being_ready(plimsoll):
    proxy = plimsoll()
    routes = [{"path": "/old", "pool": "old"}, {"path": "/", "pool": "app"}]
    alive(proxy.configure({"pool": [pool("sync", workers=1), static("old", "127.0.0.1:1")], "route": routes,
                           "listener": with_health_path(proxy)}))
    until(lambda: proxy.admin.serving("app"), 30, "one pool serves")
    assert proxy.admin.get("/readyz").status == 503
    assert proxy.get(HEALTH).status == 200, "to send nobody here would help neither pool"
    assert proxy.admin.get("/readyz?pool=app").status == 200
    assert proxy.admin.get("/readyz?pool=old").status == 503
    unknown = proxy.admin.get("/readyz?pool=older")
    assert unknown.status == 404 and b'"older"' in unknown.body, repr(unknown)
    proxy.config_path.write_text(toml.dumps({**proxy.config, "route": routes[1:]}))
    assert proxy.admin.post("/v1/config/reload").status == 200
    assert proxy.admin.get("/readyz").status == 200
    assert proxy.get(HEALTH).status == 200
    assert proxy.admin.get("/readyz?pool=old").status == 503


def test_the_health_path_follows_the_workers(plimsoll):
    proxy = plimsoll()
    socket_path = proxy.directory / "app.sock"
    server = [sys.executable, Path(__file__).parents[1] / "fleet" / "app.py", "--socket", socket_path]
    alive(proxy.configure({"pool": [static("app", "unix:%s" % socket_path)], "listener": with_health_path(proxy)}))
    def health():
        return proxy.get(HEALTH).status
    until(lambda: health() == 503, 10, "it is asked before anybody serves")
    for _ in range(2):
        app = proxy.beside(server)
        until(lambda: health() == 200, 20, "a worker serves")
        until(lambda: proxy.admin.workers()[0]["pid"] == app.pid, 10, "its end will be noticed")
        app.kill()
        until(lambda: health() == 503, 10, "none serves any more")
    assert "path=%s" % HEALTH not in proxy.log_text()


class Asker(threading.Thread):
    """A balancer's client: a new connection for each request, again and again."""
    def __init__(self, proxy):
        super().__init__(daemon=True)
        self.proxy, self.over, self.answers, self.failures = proxy, threading.Event(), [], []

    def run(self):
        while not self.over.is_set():
            try:
                answer = self.proxy.get("/echo/1?size=1", timeout=10 * PATIENCE)
                self.answers.append((answer.status, answer.fields.get("connection")))
            except (OSError, http.client.HTTPException) as failure:
                self.failures.append(failure)


def refused(proxy):
    try:
        socket.create_connection(proxy.address, 5).close()
    except OSError:
        return True
    return False


def test_a_stop_that_is_delayed_is_announced_and_refuses_nobody_until_then(plimsoll):
    proxy = plimsoll()
    proxy.configure({**fleet("sync", workers=2), "proxy": {"stop_delay": "4s"}, "listener": with_health_path(proxy)}).start()
    proxy.wait_serving(2)
    kept = http.client.HTTPConnection(*proxy.address, timeout=10)
    kept.request("GET", HEALTH)
    answer = kept.getresponse()
    assert (answer.status, answer.read()) == (200, b"ready\n")
    began = time.monotonic()
    proxy.tell_to_stop()
    until(lambda: proxy.get(HEALTH).status == 503, 3, "the balancer is told")
    asker = Asker(proxy)
    asker.start()
    assert proxy.admin.get("/readyz").body == b"not ready\nstopping\n"
    kept.request("GET", HEALTH)                                # on a connection from before
    answer = kept.getresponse()
    assert (answer.status, answer.read(), answer.getheader("Connection")) == (503, b"stopping\n", "close")
    assert proxy.get(HEALTH).fields["x-plimsoll-reason"] == "stopping"
    while time.monotonic() < began + 3:
        assert not refused(proxy), "a client was refused within the delay"
        time.sleep(0.02)
    asker.over.set()
    asker.join()
    assert len(asker.answers) > 10 and not asker.failures, (len(asker.answers), asker.failures)
    assert set(asker.answers) == {(200, "close")}
    until(lambda: refused(proxy), 20, "then it stops as ever")
    assert time.monotonic() >= began + 4
    proxy.stop()
    until(lambda: "stop_delayed" in proxy.log_text(), 10, "the log tells")


def test_a_second_sigterm_ends_the_delay_and_not_the_requests(plimsoll):
    proxy = plimsoll({**fleet("sync", workers=2), "proxy": {"stop_delay": "10m"}}).start()
    proxy.wait_serving(2)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(proxy.get("/echo/slow?size=5&pause=2", method="POST", body=b"x")))
    thread.start()
    until(lambda: any(worker["in_flight"] for worker in proxy.admin.workers()), 5, "the request has begun")
    proxy.tell_to_stop()
    until(lambda: "stop_delayed" in proxy.log_text(), 5, "it has heard the first")
    proxy.tell_to_stop()
    until(lambda: refused(proxy), 5, "it takes nobody new")
    thread.join()
    assert answers[0].status == 200
    proxy.stop()


def test_systemd_is_told_that_it_stops(plimsoll, tmp_path):
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp_path / "notify"))
    proxy = plimsoll({**fleet("sync", workers=1), "proxy": {"stop_delay": "100ms"}}, environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    proxy.start()
    proxy.stop()
    told.setblocking(False)
    words = []
    try:
        while True:
            words.append(told.recv(1000))                      # gunicorn's own among them, which are longer
    except BlockingIOError:
        pass
    assert [word for word in words if word in (b"READY=1", b"STOPPING=1")] == [b"READY=1", b"STOPPING=1"], words
