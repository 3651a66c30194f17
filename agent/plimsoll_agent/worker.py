"""The agent of this process, if it is a worker: there is one at most, whichever hook comes first."""
import os

from . import anew, identity, listener, quiet, renewal, settings as environment
from .agent import Agent
from .capture import abort
from .memory import Memory

_current = None


def taken():
    """This process is a worker, or was forked by one: nothing that runs in it is one more."""
    return _current is not None


def current():
    return _current if _current is not None and _current.pid == os.getpid() else None


class Worker:
    """A worker's agent, its private listener and what it says of its server."""

    def __init__(self, settings, facts, listener=None, address=None, server=None, path=None):
        """facts: the hello's keys about the server. address: a function of the connection. server: takes orders for the arbiter. path:
        the listener's, where no arbiter removes it."""
        self.pid = os.getpid()
        self._settings = settings
        self._path = path
        self.listener = listener
        self.server = server
        self.server_name = facts["server"]
        self._address = address
        memory = Memory()
        self._hello = identity.common(settings, memory)
        self._hello.update(facts, stacks_signal=abort.own_signal())
        self.agent = Agent(settings, self._identity, memory, server)
        if listener is not None:
            os.register_at_fork(after_in_child=self._close_listener)

    def _identity(self, connection):
        """The proxy may have been away, and what we announced to it deleted."""
        self._renew()
        self._renew_stacks()
        return dict(self._hello, address=self._address(connection) if self._address else None)

    @quiet.guarded
    def _renew(self):
        if self.agent.has_ended:
            return                          # the server closes what it has
        moved = renewal.renew(self.listener, self._settings)
        if moved is not None:
            self._path = moved              # the arbiter knows the former one

    @quiet.guarded
    def _renew_stacks(self):
        if self._hello.get("stacks") is not None and not self.agent.has_ended:
            self._hello["stacks"] = abort.renew(listener.wanted_dir(self._settings))

    @quiet.guarded
    def leave(self):
        """The worker ends on purpose."""
        self.agent.bye()
        path, self._path = self._path, None
        if path is not None:
            os.unlink(path)
        if self.server is None:
            abort.leave()

    def _close_listener(self):
        """A process that the application forks must not keep a dead worker's address alive. asyncio shows its socket in a wrapper
        that cannot be closed."""
        quiet.guarded(lambda: (self.listener if hasattr(self.listener, "close") else self.listener._sock).close())()


def begin(*args, **named):
    """Makes this process a worker with an agent and starts the agent's thread. What it starts itself is none of the pool's: a server for its
    metrics must not be asked what clients want. So they find no PLIMSOLL_CONTROL; what it becomes itself (os.execv) does."""
    global _current
    _current = Worker(*args, **named)
    anew.keep(environment.hide())
    _current.agent.start()
    return _current
