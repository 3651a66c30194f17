"""Fixtures: a folder short enough for unix sockets, the wheel installed in an environment, a proxy that is none, servers that end."""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import venvs                                # noqa: E402
from fake_proxy import FakeProxy            # noqa: E402
from servers import Server                  # noqa: E402

AGENT = os.path.dirname(HERE)


def fingerprint():
    digest = hashlib.sha256()
    for folder in ("plimsoll_agent", "activation", "."):
        for root, folders, names in os.walk(os.path.join(AGENT, folder)):
            if folder == ".":
                folders[:] = []
            folders.sort()
            for name in sorted(names):
                if not name.endswith(".pyc") and name != "README.md":
                    with open(os.path.join(root, name), "rb") as file:
                        digest.update(name.encode() + file.read())
    return digest.hexdigest()


def build_wheel(folder):
    """From a copy, so that two test runs don't meet in one build folder."""
    source = os.path.join(folder, "source")
    shutil.copytree(AGENT, source, ignore=shutil.ignore_patterns("tests", "build", "*.egg-info", "__pycache__"))
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "-w", folder, source],
                   check=True)
    return next(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".whl"))


@pytest.fixture(scope="session")
def install():
    """A function that installs this agent into a named environment, once for each state of its source; skips what is not there."""
    mark = fingerprint()

    def into(name):
        if not venvs.made(name):
            pytest.skip("no environment %s: python agent/tests/venvs.py makes those that this machine can have" % name)
        stamp = os.path.join(venvs.VENVS, name, "agent")
        with open(os.path.join(venvs.VENVS, "wheel.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(stamp) or open(stamp).read() != mark:
                wheels = os.path.join(venvs.VENVS, "wheel")
                if not os.path.exists(os.path.join(wheels, mark)):
                    shutil.rmtree(wheels, ignore_errors=True)
                    os.makedirs(wheels)
                    build_wheel(wheels)
                    open(os.path.join(wheels, mark), "w").close()
                wheel = next(os.path.join(wheels, found) for found in os.listdir(wheels) if found.endswith(".whl"))
                subprocess.run([sys.executable, "-m", "pip", "--python", venvs.python_of(name), "install", "--quiet", "--no-deps",
                                "--no-index", "--force-reinstall", "--disable-pip-version-check", wheel], check=True)
                with open(stamp, "w") as file:
                    file.write(mark)
        return name
    return into


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="pa-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def proxy(folder):
    proxy = FakeProxy(folder)
    yield proxy
    proxy.close()


@pytest.fixture
def serve(folder, install, request):
    """serve(venv, command, environ, proxy): a running server, which ends with the test. Its output is shown when the test fails."""
    running = []

    def start(venv, command, environ=None, proxy=None):
        server = Server(folder, install(venv), command, environ, proxy)
        running.append(server)
        return server
    yield start
    for server in running:
        server.stop()
        sys.stdout.write("--- %s\n%s\n" % (" ".join(map(str, server.process.args)), server.output()[-6000:]))
