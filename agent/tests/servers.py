"""Real servers in real environments, and HTTP to one address of theirs."""
import http.client
import os
import signal
import socket
import subprocess

import venvs
from fake_proxy import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path, timeout=10):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def request(address, path="/", method="GET", body=None, timeout=10):
    """(status, text) of a request to unix:/path or tcp:HOST:PORT."""
    return exchange(address, path, method, body, timeout)[:2]


def headers(address, path):
    """(status, fields by lower-case name)"""
    status, _, fields = exchange(address, path, "GET", None, 10)
    return status, {name.lower(): value for name, value in fields}


def exchange(address, path, method, body, timeout):
    if address.startswith("unix:"):
        connection = UnixHTTP(address[5:], timeout)
    else:
        host, _, port = address[4:].rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)
    try:
        connection.request(method, path, body=body, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read().decode(), response.getheaders()
    finally:
        connection.close()


def ask(address, path="/", **named):
    status, text = request(address, path, **named)
    assert status == 200, (status, text)
    return text


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(text) for text in file.read().split()]


class Server:
    """A server in a process group of its own, with its output in a file."""

    def __init__(self, folder, venv, command, environ=None, proxy=None):
        self.folder, self.public = folder, os.path.join(folder, "public.sock")
        self.log = os.path.join(folder, "server.log")
        binaries = os.path.join(venvs.VENVS, venv, "bin")
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PLIMSOLL_", "PYTHON", "COV_"))}
        env.update(PATH=binaries + os.pathsep + env["PATH"], HOME=folder, XDG_RUNTIME_DIR=folder)
        if proxy is not None:
            env["PLIMSOLL_CONTROL"] = proxy.address
        env.update(environ or {})
        command = [part.format(public=self.public, here=HERE, folder=folder) for part in command]
        command[0] = venvs.python_of(venv) if command[0] == "python" else command[0]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        self.pid = self.process.pid

    def output(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def signal(self, number):
        os.kill(self.pid, number)

    def exit_code(self, seconds=15):
        return self.process.wait(seconds)

    def serves(self, seconds=20):
        def answered():
            assert self.process.poll() is None, self.output()
            try:
                return request("unix:" + self.public)[0]
            except OSError:
                return None
        return wait_for(answered, "an answer on the public socket", seconds)

    def stop(self):
        """Ends the group that we started, whatever state it is in."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(4)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def gunicorn(*options, module="apps.wsgi:app", program=("python", "-m", "gunicorn")):
    common = ["-b", "unix:{public}", "--chdir", "{here}", "--graceful-timeout", "3", "--log-level", "info"]
    return list(program) + common + list(options) + [module]
