"""The agent's thread: dials the proxy, says who this worker is, tells how much memory it uses, and does what it is asked.

    dial -> hello -> welcome -> (sample | command -> result)* -> hang-up -> wait 0.5 s, doubling to 10 s -> dial
                '--> refused: told once, then the longest wait

One thread that sleeps in poll() all but a few dozen microseconds of each second. A command runs in a thread of its own, so that
samples go on and a second command is answered (busy) at once; it is abandoned at its deadline, not killed: Python can't.
"""
import os

import _socket

from . import commands, native, protocol, quiet, release
from .capture import boot, trace
from .task import Task

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
ANSWER_TIMEOUT = 10.0                       # for connect and welcome
WRITE_TIMEOUT = 10.0                        # a proxy that doesn't read for this long is gone


class Connection:
    """A control connection. Written by the agent's thread, a command's and (bye) the application's: one lock, whole frames."""

    def __init__(self, control):
        self._socket, target = _open(control)
        self._lock = native.allocate_lock()
        self._reader = protocol.Reader()
        self._socket.settimeout(ANSWER_TIMEOUT)
        try:
            self._socket.connect(target)
            self._socket.settimeout(WRITE_TIMEOUT)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self):
        return self._socket.fileno()

    def local_host(self):
        name = self._socket.getsockname()
        return name[0] if isinstance(name, tuple) else None

    def peer(self):
        """Where the proxy is, without a name to look up; None for a unix socket, whose path says it."""
        name = self._socket.getpeername()
        return name[:2] if isinstance(name, tuple) else None

    def send(self, message, patience=-1):
        """False where another thread is writing for longer than our patience; raises OSError when the connection is lost."""
        frame = protocol.pack(message)
        if not self._lock.acquire(True, patience):
            return False
        try:
            self._socket.sendall(frame, _socket.MSG_NOSIGNAL)
            return True
        finally:
            self._lock.release()

    def receive(self):
        """Messages that came; raises where the proxy hung up."""
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the proxy hung up")
        return self._reader.feed(data)

    def close(self):
        self._socket.close()


def _open(control):
    if control[0] == "unix":
        return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM), control[1]
    family, kind, proto, _, target = _socket.getaddrinfo(control[1], control[2], 0, _socket.SOCK_STREAM)[0]
    made = _socket.socket(family, kind, proto)
    made.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    return made, target


class Agent:
    def __init__(self, settings, identity, memory, server=None):
        """identity: a function of the connection that gives the hello's keys, asked anew at each dial. server: what carries out
        `successor`, `retire` and `cancel`, where the server has such a thing."""
        self._settings = settings
        self._server = server
        self._identity = identity
        self._memory = memory
        self._connection = None
        self._task = None
        self._ready = False
        self._ended = False
        self.connected = quiet.guarded(lambda connection: None)        # hook: a connection was welcomed
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._pid = os.getpid()
        os.register_at_fork(after_in_child=self._forget)

    def start(self):
        native.start_thread(self._run, ())

    def ready(self):
        """The application is loaded. Any thread may say so, the agent's own does the talking."""
        self._ready = True
        try:
            os.write(self._wake_write, b"r")
        except OSError:
            pass

    @property
    def is_ready(self):
        return self._ready

    @property
    def has_ended(self):
        return self._ended

    def bye(self):
        """The worker ends on purpose: said by the thread that ends it, as ours gets no turn any more."""
        connection, self._ended = self._connection, True
        if connection is not None and os.getpid() == self._pid:
            try:
                connection.send({"type": "bye"}, patience=0.05)
            except (OSError, ValueError):
                pass

    def _forget(self):
        """In a child of the application's own making: it must not keep the worker's connection alive."""
        connection, self._connection, self._ended = self._connection, None, True
        if connection is not None:
            connection.close()
        quiet.guarded(trace.forget)()

    def _run(self):
        failures = 0
        while not self._ended:
            pause = min(FIRST_PAUSE * 2 ** min(failures, 10), LONGEST_PAUSE)
            failures += 1
            try:
                if self._session():
                    failures = 0
                else:
                    pause = LONGEST_PAUSE
            except (OSError, ValueError, protocol.ProtocolError):      # the proxy is away: quietly again
                pass
            except BaseException as error:                             # of our own making: told once, never a crash
                quiet.once(("agent", type(error)), "the agent met %r and dials again" % (error,))
            trace.watch(connected=False)
            if not self._ended:
                native.sleep(pause)

    def _session(self):
        """From dial to hang-up. False where the proxy refused us."""
        connection = Connection(self._settings.control)
        try:
            hello = dict(self._identity(connection), type="hello", ready=self._ready)
            hello["release"] = quiet.guarded(release.current)() if hello["ready"] else release.told()
            connection.send(hello)
            poll = native.poll()
            poll.register(connection.fileno(), native.POLLIN)
            messages = []
            while not messages:
                if not poll.poll(ANSWER_TIMEOUT * 1000):
                    raise ConnectionError("the proxy did not answer the hello")
                messages = connection.receive()
            first = messages.pop(0)
            if first.get("type") != "welcome":
                quiet.once("refused", "the proxy refused this worker: %s" % first.get("reason", "no reason given"))
                return False
            self._connection = connection
            quiet.guarded(self.connected)(connection)
            interval = max(0.05, float(first.get("sample_interval") or 1.0))
            self._memory.peaks = bool(first.get("peaks"))
            try:
                self._serve(connection, poll, messages, interval, hello["ready"])
            except (OSError, ValueError, protocol.ProtocolError):
                pass                                                   # hung up, after it had welcomed us: a first failure
            return True
        finally:
            self._connection = None
            connection.close()

    def _serve(self, connection, poll, messages, interval, told_ready):
        poll.register(self._wake_read, native.POLLIN)
        next_sample = native.monotonic()
        while not self._ended:
            for message in messages:
                if message.get("type") == "command":
                    self._command(connection, message)
            if self._ready and not told_ready:
                told_ready = connection.send({"type": "ready", "release": quiet.guarded(release.current)()})
            if self._ready:
                quiet.guarded(boot.remember_once)()
            now = native.monotonic()
            if now >= next_sample:
                connection.send(dict(self._memory.sample(), type="sample"), patience=0)    # a file is on its way: skip one
                next_sample = max(next_sample + interval, now)
                trace.watch(connected=True)
            self._expire(now)
            ready = poll.poll(max(0.0, self._next_wake(next_sample) - native.monotonic()) * 1000 + 1)
            messages = []
            for descriptor, _ in ready:
                if descriptor == self._wake_read:
                    os.read(self._wake_read, 64)
                else:
                    messages = connection.receive()

    def _next_wake(self, next_sample):
        return min(next_sample, self._task.ends) if self._task and not self._task.answered else next_sample

    def _command(self, connection, message):
        if self._task is not None and not self._task.finished:
            connection.send({"type": "result", "id": message.get("id"), "ok": False, "error": "busy", "data": {}})
            return
        self._task = task = Task(connection, message, self._server)
        try:
            native.start_thread(commands.run, (task,))
        except (RuntimeError, MemoryError) as error:                   # at a limit of threads or of memory: it may pass
            task.finished = True
            task.answer(False, error="no thread for it: %s" % error)

    def _expire(self, now):
        if self._task is not None and not self._task.finished and now >= self._task.ends:
            self._task.answer(False, error="deadline")
