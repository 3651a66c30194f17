"""`plimsoll run`: from an application to a fleet without a configuration, and one clear line where that can't be."""
import os
import re
import socket
import sys
from pathlib import Path

import pytest
from harness.admin import Admin
from harness.fleets import fleet
from harness.waiting import until

FLASK = """\
from flask import Flask, request
app = Flask(__name__)

@app.route("/", methods=["GET", "POST"])
def index():
    return "hello from flask " + request.get_data(as_text=True)
"""
ASGI = """\
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})
"""


@pytest.fixture
def place(plimsoll):
    """A directory with app.py in it, and this Python's environment activated as a shell does it."""
    proxy = plimsoll()
    bin_directory = Path(sys.executable).parent
    proxy.environment.update(PATH="%s:%s" % (bin_directory, proxy.environment["PATH"]), VIRTUAL_ENV=str(bin_directory.parent))
    proxy.environment.pop("PYTHONPATH")

    def with_app(text):
        (proxy.directory / "app.py").write_text(text)
        return proxy
    return with_app


def first_line(proxy):
    until(lambda: "\n" in proxy.log_text() or proxy.process.poll() is not None, 20, "a first line of output")
    return proxy.log_text().splitlines()[0]


@pytest.mark.parametrize("text, flags, body", [(FLASK, [], b"hello from flask "), (ASGI, ["--asgi"], b"hello")], ids=["flask", "asgi"])
def test_run_serves_an_application_and_its_first_line_is_the_url(place, text, flags, body):
    proxy = place(text)
    proxy.launch(["run", *flags, "--workers", "2", "--listen", "127.0.0.1:%d" % proxy.port, "app:app"], ready=0)
    line = first_line(proxy)
    assert "http://127.0.0.1:%d" % proxy.port in line, line
    proxy.admin = Admin(until(lambda: re.search(r"http://(127\.0\.0\.1:(?!%d)\d+)" % proxy.port, proxy.log_text()), 10,
                              "the admin's URL is printed").group(1))
    until(proxy.admin.ready, 30, "ready")
    pool = proxy.admin.read("/v1/pools")["pools"][0]["name"]
    proxy.wait_serving(2, pool=pool)
    assert proxy.get("/").body == body
    assert all(worker["agent"]["connected"] for worker in proxy.admin.workers(pool))
    assert proxy.recycle(proxy.admin.serving(pool)[0]["id"], pool=pool)["recycle"]["outcome"] == "done"
    assert proxy.get("/").body == body


def ends(proxy, *arguments, listen=None):
    done = proxy.cli("run", "--workers", "2", "--listen", listen or "127.0.0.1:%d" % proxy.port, *arguments)
    assert done.returncode not in (0, None) and done.returncode > 0, done
    said = done.stdout + done.stderr
    assert "terminate called" not in said and "what():" not in said, said
    return done


def test_without_gunicorn_run_says_how_to_get_it(place):
    proxy = place(FLASK)
    empty = proxy.directory / "bin"
    empty.mkdir()
    os.symlink("/bin/sh", empty / "sh")
    proxy.environment.update(PATH=str(empty))
    proxy.environment.pop("VIRTUAL_ENV")
    done = ends(proxy, "app:app")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "pip install gunicorn" in done.stderr, done.stderr


def test_a_taken_port_is_named(place):
    proxy = place(FLASK)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = "127.0.0.1:%d" % other.getsockname()[1]
        done = ends(proxy, "app:app", listen=taken)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert taken in done.stderr and "is taken" in done.stderr, done.stderr


@pytest.mark.parametrize("text, flags", [(FLASK, []), (ASGI, ["--asgi"])], ids=["flask", "asgi"])
def test_an_application_that_cannot_be_imported_is_one_clear_line_and_an_exit_code(place, text, flags):
    proxy = place("import a_module_that_nobody_has\n" + text)
    done = ends(proxy, *flags, "app:app")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "did not start" in done.stderr and "No module named 'a_module_that_nobody_has'" in done.stderr, done.stderr


def test_an_application_that_is_not_there_is_named(place):
    proxy = place(FLASK)
    done = ends(proxy, "app:application")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "did not start" in done.stderr and "'application'" in done.stderr, done.stderr


def test_serve_with_a_taken_port_ends_with_one_line(plimsoll):
    proxy = plimsoll(fleet("sync", workers=1))
    with socket.socket() as other:
        other.bind(("127.0.0.1", proxy.port))
        other.listen()
        done = proxy.cli("serve", "-c", str(proxy.config_path))
    assert done.returncode == 1, done
    assert "127.0.0.1:%d" % proxy.port in done.stderr and "is taken" in done.stderr, done.stderr


def test_serve_without_its_file_ends_with_one_line(plimsoll):
    done = plimsoll().cli("serve", "-c", "nowhere.toml")
    assert done.returncode == 2 and "nowhere.toml" in done.stderr and len(done.stderr.splitlines()) == 1, done


def test_serve_with_a_command_that_is_not_there_says_so(plimsoll):
    proxy = plimsoll({"pool": [{"name": "app", "source": {"kind": "gunicorn", "command": ["gunicorn-that-nobody-has", "app:app"]}}]})
    proxy.start(ready=0)
    until(lambda: "gunicorn-that-nobody-has" in proxy.log_text(), 10, "the log names it")

    def ended_or_serves():
        try:
            return proxy.process.poll() is not None or proxy.admin.get("/healthz").status == 200
        except OSError:                                            # between the line in the log and its end
            return False
    until(ended_or_serves, 10, "it ends or goes on trying")
    if proxy.process.poll() is not None:
        assert proxy.process.returncode > 0
        proxy.process = None
