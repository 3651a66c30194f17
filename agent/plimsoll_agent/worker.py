"""The agent of this process, if it is a worker: there is one at most, whichever hook comes first."""
import os

from . import identity, quiet
from .agent import Agent
from .memory import Memory

_current = None


def current():
    return _current if _current is not None and _current.pid == os.getpid() else None


class Worker:
    """A worker's agent, its private listener and what it says of its server."""

    def __init__(self, settings, facts, listener=None, address=None, server=None):
        """address: a text or a function of the connection; facts: the hello's keys about the server."""
        self.pid = os.getpid()
        self.listener = listener
        self.server = server
        self.server_name = facts["server"]
        self._address = address
        memory = Memory()
        self._hello = identity.common(settings, memory)
        self._hello.update(facts)
        self.agent = Agent(settings, self._identity, memory, server)
        if listener is not None:
            os.register_at_fork(after_in_child=self._close_listener)

    def _identity(self, connection):
        address = self._address(connection) if callable(self._address) else self._address
        return dict(self._hello, address=address)

    def _close_listener(self):
        """A process that the application forks must not keep a dead worker's address alive."""
        quiet.guarded(self.listener.close)()


def begin(*args, **named):
    """Makes this process a worker with an agent and starts the agent's thread."""
    global _current
    _current = Worker(*args, **named)
    _current.agent.start()
    return _current
