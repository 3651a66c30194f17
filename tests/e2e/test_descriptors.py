"""When descriptors run out: clients wait or are refused, and the operator still sees it."""
import resource
import socket

import pytest
from harness.fleets import fleet
from harness.waiting import until

FILES = 192


def open_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, FILES))


@pytest.mark.asan
@pytest.mark.parametrize("they", ["rest", "have begun another request"])
def test_clients_leave_a_reserve_so_that_admin_still_works(plimsoll, they):
    """Whoever rests makes way for a new one; where nobody does, new ones are refused."""
    proxy = plimsoll(fleet("sync", workers=2))
    proxy.launch(["serve", "-c", str(proxy.config_path)], ready=30, preexec_fn=open_files)
    worker = proxy.wait_serving(2)[0]
    assert "max_connections_lowered" in proxy.log_text()
    soft, hard = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
    assert (soft, hard) == (FILES, FILES), "the soft limit is raised"
    assert resource.prlimit(worker["pid"], resource.RLIMIT_NOFILE)[0] == 64, "but not for workers"
    clients, refused = [], 0
    for _ in range(2 * FILES):
        client = socket.create_connection(proxy.address, timeout=10)
        client.sendall(b"GET /echo/x?size=1 HTTP/1.1\r\nHost: test\r\n\r\n")
        answer = client.recv(4096)
        assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 503 ")), answer
        refused += answer.startswith(b"HTTP/1.1 503 ")
        if they != "rest" and answer.startswith(b"HTTP/1.1 200 "):
            client.sendall(b"GET /echo/y HTTP/1.1\r\nHost:")
        clients.append(client)
    assert refused == 0 if they == "rest" else refused > FILES / 2, refused
    assert proxy.admin.ready() and proxy.admin.workers()
    incident = proxy.recycle(worker["id"])                   # pipes, pidfds, the agent's connection, the store
    assert incident["recycle"]["outcome"] == "done", incident
    for client in clients:
        client.close()
    until(lambda: proxy.get("/echo/y?size=1").status == 200, 10, "room again for clients")


def test_too_few_descriptors_to_start_are_one_line_that_says_what_to_raise(plimsoll):
    """Not under sanitizers: they need descriptors themselves to look at memory, and take what they cannot see for an error."""
    proxy = plimsoll(fleet("sync", workers=1))
    proxy.start(ready=0, through=["bash", "-c", "ulimit -n 20; exec \"$@\"", "bash"])
    assert proxy.process.wait(30) == 1
    proxy.process = None                                        # as it should be
    assert "plimsoll: cannot serve with 2 threads (" in proxy.log_text() and "ulimit -n" in proxy.log_text()
