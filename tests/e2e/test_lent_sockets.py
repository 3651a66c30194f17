"""Listening sockets that a supervisor keeps open while the proxy comes and goes (systemd's socket units)."""
import os
import socket
import threading

import pytest
from harness.fleets import fleet
from harness.proxy import free_port
from harness.waiting import until
from test_handover import hand_over, independent_workers, stop_successor


class Supervisor:
    """Opens the sockets once, and starts the proxy with them as sd_listen_fds(3) has it, as often as it is told."""

    def __init__(self, proxy, *addresses):
        self.proxy, self.sockets = proxy, []
        for address in addresses:
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
            listening = socket.socket(family)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(64)
            self.sockets.append(listening)

    def start(self, ready=30.0):
        high = [os.dup2(each.fileno(), 100 + number) for number, each in enumerate(self.sockets)]
        moves = ["%d<&%d %d<&-" % (3 + number, fd, fd) for number, fd in enumerate(high)]
        script = "exec %s; LISTEN_FDS=%d LISTEN_PID=$$ exec \"$@\"" % (" ".join(moves), len(high))
        self.proxy.start(ready, through=["bash", "-c", script, "bash"], pass_fds=high)
        for each in high:
            os.close(each)

    def close(self):
        for each in self.sockets:
            each.close()


@pytest.fixture
def supervised(plimsoll):
    supervisors = []

    def make(proxy, *addresses):
        supervisors.append(Supervisor(proxy, *addresses))
        return supervisors[-1]
    yield make
    for each in supervisors:
        each.close()


def unix_get(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := client.recv(65536):
            answer += data
        return answer.split(b"\r\n")[0]


def test_whoever_comes_between_a_stop_and_the_next_start_waits_and_is_served(plimsoll, supervised):
    proxy = plimsoll(fleet("sync", 2))
    supervisor = supervised(proxy, proxy.address)
    supervisor.start()
    proxy.wait_serving(2)
    assert proxy.get("/hello").status == 200
    proxy.stop()
    statuses = []
    clients = [threading.Thread(target=lambda: statuses.append(proxy.get("/hello").status)) for _ in range(8)]
    for client in clients:
        client.start()
    supervisor.start()
    for client in clients:
        client.join()
    assert statuses == [200] * 8


def test_the_file_of_a_lent_unix_socket_outlives_the_proxy(plimsoll, supervised):
    proxy = plimsoll()
    path = proxy.directory / "lent.sock"
    proxy.configure({**fleet("sync", 1), "listener": [{"address": "unix:%s" % path, "socket_mode": "0600"}]})
    supervisor = supervised(proxy, str(path))
    path.chmod(0o640)
    for _ in range(2):
        supervisor.start()
        proxy.wait_serving(1)
        assert unix_get(path) == b"HTTP/1.1 200 OK"
        proxy.stop()
        assert path.is_socket()
        assert path.stat().st_mode & 0o777 == 0o640, "its mode is its owner's"


def test_a_lent_socket_goes_and_comes_back_with_a_reload(plimsoll, supervised):
    other = ("127.0.0.1", free_port())
    proxy = plimsoll()
    both = [{"address": "127.0.0.1:%d" % proxy.port}, {"address": "127.0.0.1:%d" % other[1]}]
    proxy.configure({**fleet("sync", 1), "listener": both})
    supervised(proxy, proxy.address, other).start()
    proxy.wait_serving(1)
    for listeners in (both[:1], both, both[:1], both):
        proxy.configure({**fleet("sync", 1), "listener": listeners})
        assert proxy.cli("reload", "--admin", proxy.admin.address).returncode == 0, proxy.log_tail()
        assert proxy.get("/hello").status == 200
    with socket.create_connection(other, 20) as client:
        client.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_a_lent_socket_goes_on_to_the_new_binary(plimsoll, supervised):
    proxy = plimsoll()
    path = proxy.directory / "lent.sock"
    proxy.configure({**independent_workers(proxy), "listener": [{"address": "unix:%s" % path},
                                                                {"address": "127.0.0.1:%d" % proxy.port}]})
    supervised(proxy, str(path), proxy.address).start()
    proxy.wait_serving(2)
    pid = proxy.process.pid
    for _ in range(2):
        pid = hand_over(proxy, pid)
        assert unix_get(path) == b"HTTP/1.1 200 OK"
        assert proxy.get("/hello").status == 200
    stop_successor(proxy, pid)
    assert path.is_socket()


def test_what_is_lent_for_no_listener_is_told_and_so_is_an_address_that_it_overlaps(plimsoll, supervised):
    proxy = plimsoll(fleet("sync", 1))
    everywhere = ("0.0.0.0", free_port())
    supervisor = supervised(proxy, everywhere)
    supervisor.start()
    until(lambda: " started " in proxy.log_text(), 10, "the log tells of its start")
    line = [line for line in proxy.log_text().splitlines() if "lent_socket_unused" in line]
    assert len(line) == 1 and "address=0.0.0.0:%d" % everywhere[1] in line[0]
    proxy.stop()
    proxy.configure({**fleet("sync", 1), "listener": [{"address": "127.0.0.1:%d" % everywhere[1]}]})
    supervisor.start(ready=0)
    assert proxy.process.wait(30) == 1
    proxy.process = None                                        # which is as it should be
    assert "is taken by 0.0.0.0:%d, which the supervisor lends us" % everywhere[1] in proxy.log_text()


def test_systemd_itself_lends_a_socket(plimsoll):
    proxy = plimsoll(fleet("sync", 1))
    environment = ["-E%s=%s" % pair for pair in proxy.environment.items()]
    proxy.start(ready=0, through=["systemd-socket-activate", "-l", "127.0.0.1:%d" % proxy.port, *environment])
    until(lambda: "Listening on" in proxy.log_text(), 20, "systemd listens")
    assert proxy.get("/hello").status == 200                    # it is started for this one, and then waits for its worker
