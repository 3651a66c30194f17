"""Where a client or a worker may be: IPv6, and names that are looked up."""
import socket
import sys

import pytest
from harness.admin import ask
from harness.proxy import free_port
from harness.waiting import until


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")
def test_ipv6_on_both_sides_and_a_worker_by_name(plimsoll):
    proxy = plimsoll()
    six, four, listener = free_port(), free_port(), free_port()
    for host, port in ("::1", six), ("127.0.0.1", four):
        proxy.beside([sys.executable, "-m", "uvicorn", "--host", host, "--port", port, "--log-level", "warning", "echo:asgi"])
    proxy.configure({"pool": [{"name": "app", "source": {"kind": "static", "addresses": ["[::1]:%d" % six, "localhost:%d" % four]}}],
                     "listener": [{"address": "[::1]:%d" % listener}]}).start()
    proxy.wait_serving(2)
    pids = set()
    def both_have_answered():
        answer = ask("::1:%d" % listener, "GET", "/echo/1?size=3")
        assert answer.status == 200, repr(answer)
        pids.add({name.lower(): value for name, value in answer.fields.items()}["x-pid"])
        return len(pids) == 2
    until(both_have_answered, 10, "both workers have answered")
