"""The real binary, with a configuration and a directory of its own, in an environment that marks all its descendants."""
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

from . import processes, toml
from .admin import Admin, ask, story
from .binary import ROOT, binary
from .waiting import PATIENCE, until

APPS = ROOT / "tests" / "apps"
SANITIZER = re.compile(r"(ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:)")


def free_port():
    """Below the range that the kernel hands out for port 0, so that nobody gets it between now and its use."""
    while True:
        port = random.randint(18_000, 31_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Proxy:
    def __init__(self, config=None, environment=None):
        self.directory = Path(tempfile.mkdtemp(prefix="pl-", dir="/tmp"))   # short: a unix path has 107 bytes
        self.mark = uuid.uuid4().hex
        self.ledger = self.directory / "ledger"
        self.ledger.mkdir()
        self.log_path = self.directory / "log"
        self.port, self.admin_port = free_port(), free_port()
        self.address = ("127.0.0.1", self.port)
        self.admin = Admin("127.0.0.1:%d" % self.admin_port)
        self.config_path = self.directory / "plimsoll.toml"
        self.environment = dict(os.environ, LEDGER=str(self.ledger), PYTHONPATH=str(APPS), PYTHONDONTWRITEBYTECODE="1",
                                XDG_RUNTIME_DIR=str(self.directory), XDG_STATE_HOME=str(self.directory / "state-home"),
                                **{processes.MARK: self.mark})
        for name in ("PLIMSOLL_CONTROL", "PLIMSOLL_TOKEN", "GUNICORN_CMD_ARGS", "WEB_CONCURRENCY"):
            self.environment.pop(name, None)
        self.environment.update(environment or {})
        self.process, self.told_to_stop = None, False
        self.others = []                                       # servers that the test started beside it
        if config is not None:
            self.configure(config)

    @property
    def control(self):
        return self.directory / "run" / "control.sock"

    # Configuration: what a test does not say gets a value that fits a test, in this directory.
    def configure(self, config):
        (self.directory / "run").mkdir(exist_ok=True)
        whole = {"proxy": {"threads": 2, "control": str(self.control)}, "admin": {"listen": self.admin.address},
                 "store": {"path": str(self.directory / "state")}, "log": {"level": "debug"},
                 "listener": [{"address": "127.0.0.1:%d" % self.port}], "route": [{"path": "/", "pool": "app"}]}
        for section, values in config.items():
            if isinstance(values, dict):
                whole[section] = {**whole.get(section, {}), **values}
            else:
                whole[section] = values
        self.config = whole
        self.config_path.write_text(toml.dumps(whole))
        return self

    def start(self, ready=30.0, **more):
        return self.launch(["serve", "-c", str(self.config_path)], ready, **more)

    def launch(self, arguments, ready=30.0, through=(), **more):
        """`through`: a command that becomes the program, as `env` does."""
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen([*through, str(binary()), *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                                        **{"cwd": str(self.directory), **more})
        log.close()
        self.told_to_stop = False
        if ready:
            until(lambda: self.admin.ready() or self.process.poll() is not None, ready, "ready", pause=0.05)
            assert self.process.poll() is None, "it ended with %s:\n%s" % (self.process.returncode, self.log_tail())
        return self

    def beside(self, command, environment=None, **more):
        """Another server under the same mark: an outside gunicorn, a scripted worker."""
        log = open(self.log_path, "ab")
        other = subprocess.Popen([str(part) for part in command], env={**self.environment, **(environment or {})},
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                                 **{"cwd": str(self.directory), **more})
        log.close()
        self.others.append(other)
        return other

    # What it says.
    def log_text(self):
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def log_tail(self, lines=60):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def get(self, path, method="GET", body=None, fields=None, timeout=30.0):
        return ask("127.0.0.1:%d" % self.port, method, path, body, fields, timeout)

    def cli(self, *arguments, bound=30.0):
        return subprocess.run([str(binary()), *arguments], env=self.environment, cwd=str(self.directory), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=bound * PATIENCE)

    # What becomes of its fleet.
    def wait_serving(self, count, bound=30.0, pool="app"):
        return until(lambda: len(self.admin.serving(pool)) == count and self.admin.serving(pool), bound,
                     "%d workers serve" % count, pause=0.05)

    def recycle(self, worker, bound=60.0, pool="app"):
        """Asks until it is allowed, then waits for the end. The closed incident."""
        def accepted():
            answer = self.admin.act("recycle", worker, pool)
            assert answer.status in (202, 409, 429), repr(answer)
            return answer if answer.status == 202 else None
        identity = until(accepted, bound, "%s may be recycled" % worker, pause=0.05).json["incident"]
        return self.closed(identity, bound)

    def closed(self, identity, bound=60.0):
        def over():
            incident = self.admin.incident(identity)
            return incident if incident["state"] != "open" else None
        try:
            return until(over, bound, "incident %s is closed" % identity, pause=0.05)
        except AssertionError as late:
            raise AssertionError("%s\n%s" % (late, story(self.admin.incident(identity)))) from None

    def descendants(self):
        return {pid: line for pid, line in processes.marked(self.mark).items()
                if pid != (self.process and self.process.pid) and pid not in [other.pid for other in self.others]}

    # The end.
    def tell_to_stop(self, how=signal.SIGTERM):
        self.told_to_stop = True
        self.process.send_signal(how)

    def stop(self, bound=45.0):
        """SIGTERM (once: a second one means "at once"), and everything that must be true afterwards."""
        if self.process and self.process.poll() is None:
            if not self.told_to_stop:
                self.tell_to_stop()
            try:
                self.process.wait(bound * PATIENCE)
            except subprocess.TimeoutExpired:
                raise AssertionError("it does not stop within %g s:\n%s" % (bound * PATIENCE, self.log_tail())) from None
        for other in self.others:
            if other.poll() is None:
                other.terminate()
                try:
                    other.wait(20 * PATIENCE)
                except subprocess.TimeoutExpired:
                    other.kill()
                    other.wait()
        self.check_log()
        if self.process:
            assert self.process.returncode == 0, "exit code %s:\n%s" % (self.process.returncode, self.log_tail())
        left = {}
        def none_left():
            left.clear()
            left.update(processes.marked(self.mark))
            return not left
        try:
            until(none_left, 5, "no process is left behind")
        except AssertionError:
            raise AssertionError("left behind: %r\n%s" % (left, self.log_tail())) from None

    def check_log(self):
        report = SANITIZER.search(self.log_text())
        assert not report, "a sanitizer reported:\n" + self.log_text()[report.start() - 200:report.start() + 6000]

    def crash(self):
        """kill -9 of the proxy itself."""
        self.process.kill()
        self.process.wait()

    def clean_up(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        processes.kill_marked(self.mark)
        for other in self.others:
            if other.poll() is None:                           # it hides the mark
                other.kill()
            other.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
