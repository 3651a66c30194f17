"""Where a client or a worker may be: IPv6, and names that are looked up."""
import ctypes
import os
import re
import socket
import subprocess
import sys
import time

import pytest
from harness.admin import ask
from harness.fleets import UWSGI, fleet, uwsgi
from harness.load import Load, verdict
from harness.proxy import free_port
from harness.waiting import PATIENCE, until


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


@pytest.mark.parametrize("kind", UWSGI)
def test_a_uwsgi_that_somebody_else_runs_is_spoken_to_in_its_own_protocol(plimsoll, kind):
    """As behind nginx's uwsgi_pass: its command line stays as it is, and all its processes share the one socket."""
    proxy = plimsoll()
    path = proxy.directory / "uwsgi.sock"
    command = uwsgi(kind, workers=2)
    command[command.index("127.0.0.1:0")] = str(path)
    proxy.beside([*command, "--master", "--die-on-term"])
    proxy.configure({"pool": [{"name": "app", "source": {"kind": "static", "addresses": ["unix:%s" % path],
                                                         "protocol": "uwsgi", "slots": 2}}]}).start()
    proxy.wait_serving(1)
    with Load(proxy.address, connections=8, timeout=30 * PATIENCE) as load:
        load.run_until(1000, bound=60 * PATIENCE)
    verdict(load, proxy.ledger).check()


def with_cookie(proxy, size):
    """The status of a request with a cookie of so many bytes, and the body of its answer."""
    answer = proxy.get("/echo/1?size=3", fields={"Cookie": "c=" + "x" * size})
    return answer.status, answer.body.decode()


@pytest.mark.parametrize("kind", UWSGI)
def test_heads_that_are_allowed_fit_into_the_buffer_of_a_uwsgi_of_ours(plimsoll, kind):
    """By itself it takes 4,096 bytes, and hangs up on more."""
    proxy = plimsoll(fleet(kind, 1)).start()
    proxy.wait_serving(1)
    for size in 3000, 6000, 30000:
        assert with_cookie(proxy, size)[0] == 200, size


@pytest.mark.parametrize("where", ["--buffer-size", "ini"])
def test_a_buffer_size_of_the_operators_own_is_left_alone(plimsoll, where, tmp_path):
    ini = tmp_path / "app.ini"
    ini.write_text("[uwsgi]\nbuffer-size = 10000\n")
    arguments = ["--ini", str(ini)] if where == "ini" else ["--buffer-size", "10000"]
    proxy = plimsoll(fleet("uwsgi-debian", 1, None, arguments)).start()
    proxy.wait_serving(1)
    assert with_cookie(proxy, 9000)[0] == 200
    status, body = with_cookie(proxy, 12000)
    assert status == 502
    assert re.search("the request's head takes 12[0-9]{3} bytes: is the server's buffer-size smaller", body), body


def own_hosts(path):
    """For a process to begin with: it alone has this file as /etc/hosts. Who is not root becomes it in a namespace of users."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_mounts, new_users, private, bind = 0x20000, 0x10000000, 0x44000, 0x1000
    spaces = new_mounts if os.geteuid() == 0 else new_mounts | new_users

    def begin():
        for call, *arguments in ((libc.unshare, spaces), (libc.mount, None, b"/", None, private, None),
                                 (libc.mount, str(path).encode(), b"/etc/hosts", None, bind, None)):
            if call(*arguments) != 0:
                raise OSError(ctypes.get_errno(), "no /etc/hosts of its own")
    return begin


def test_traffic_without_a_pause_follows_a_name_to_its_new_address(plimsoll):
    """The old server lives on and would serve: nothing but the name says that it is not meant any more."""
    proxy = plimsoll()
    port = free_port()
    for host in "127.0.0.2", "127.0.0.3":
        proxy.beside([sys.executable, "-m", "uvicorn", "--host", host, "--port", port, "--log-level", "warning", "echo:asgi"])
    hosts = proxy.directory / "hosts"
    hosts.write_text("127.0.0.2 app.test\n")
    try:
        subprocess.run(["true"], preexec_fn=own_hosts(hosts), check=True)
    except subprocess.SubprocessError as why:
        pytest.skip("this kernel gives no mount namespace to this user: %s" % why)
    proxy.configure({"proxy": {"threads": 1},
                     "pool": [{"name": "app", "source": {"kind": "static", "addresses": ["app.test:%d" % port]}}]})
    proxy.launch(["serve", "-c", str(proxy.config_path)], preexec_fn=own_hosts(hosts))
    proxy.wait_serving(1)

    def pid():
        answer = proxy.get("/echo/1?size=3")
        assert answer.status == 200, repr(answer)
        return {name.lower(): value for name, value in answer.fields.items()}["x-pid"]
    first = pid()
    hosts.write_text("127.0.0.3 app.test\n")
    bound = time.monotonic() + 20 * PATIENCE
    while pid() == first:
        assert time.monotonic() < bound, "every request goes to the address that the name had"
    moved = pid()
    assert all(pid() == moved for _ in range(50))
