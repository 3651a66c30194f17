"""What the proxy may ask of a worker: one function for each command, each bounded by the task's deadline.

A command runs in a native thread of its own. It looks at `task.left()` between its steps and gives what it has: part of the evidence
beats none. Once the agent has answered for it (the deadline), whatever it still sends is dropped.
"""
import os
import signal

from . import native, protocol, quiet
from .capture import abort, phases
from .task import Abandoned, CommandError


def run(task):
    """The body of a command's thread. It is free for the next command before it answers, as the proxy may send that one at once."""
    try:
        command = COMMANDS.get(task.name)
        if command is None:
            raise CommandError("this agent knows no command %s" % task.name)
        outcome = (True, command(task), None)
    except Abandoned:
        outcome = None
    except CommandError as error:
        outcome = (False, None, str(error))
    except BaseException as error:
        outcome = (False, None, "%s: %s" % (type(error).__name__, error))
    task.finished = True
    heard = False
    try:
        heard = outcome is not None and task.answer(*outcome)
    except (OSError, ValueError, protocol.ProtocolError):
        pass                                # the connection is gone, and the proxy knows it
    if not heard and task.if_unheard is not None:
        quiet.guarded(task.if_unheard)()


def ping(task):
    return {}


def parent_of(pid):
    """The parent's pid, or None where there is no such process."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def send_signal(task):
    """For a proxy that cannot see the pid: only to this family, so that a wrong pid does no harm."""
    pid, number = int(task.args["pid"]), int(task.args["signal"])
    if pid not in (os.getpid(), os.getppid()) and parent_of(pid) != os.getppid():
        raise CommandError("%d is no sibling of this worker" % pid)
    try:
        os.kill(pid, number)
    except OSError as error:
        raise CommandError("signal %d to %d: %s" % (number, pid, error.strerror))
    return {}


def stacks(task):
    """A sibling's stacks when it cannot answer for itself: SIGABRT makes its faulthandler write them, even while it holds the GIL. Where
    that is for the application's own, as it is with us, another signal does, and SIGABRT comes after it."""
    pid = int(task.args["pid"])
    if pid == os.getpid() or parent_of(pid) != os.getppid():
        raise CommandError("%d is no sibling of this worker" % pid)
    path = abort.file_of(pid)
    if path is None or not os.path.exists(path):
        raise CommandError("%d left no place for its stacks" % pid)
    if os.path.getsize(path) == 0:
        os.kill(pid, abort.own_signal() or signal.SIGABRT)
    size = 0
    while task.left() > 0.2:                # until it has been written whole: twice the same size
        native.sleep(0.05)
        before, size = size, os.path.getsize(path)
        if size and size == before:
            break
    try:
        if not size:
            raise CommandError("%d wrote no stacks in time" % pid)
        with open(path, "rb") as file:
            task.file("stacks.txt", file.read(1 << 20))
    finally:
        if abort.own_signal():
            end(pid)
    return {}


def end(pid):
    """A sibling, by the signal that shows it as stuck. It may be gone by now, and its pid another's."""
    try:
        if parent_of(pid) == os.getppid():
            os.kill(pid, signal.SIGABRT)
    except OSError:
        pass


def order(verb):
    def command(task):
        if task.server is None:
            raise CommandError("no gunicorn arbiter with the agent's hooks is above this worker")
        pid = int(task.args.get("pid") or 0)
        if verb != "cancel" and parent_of(pid) != os.getppid():
            raise CommandError("%d is no worker of this server" % pid)
        task.server.order(verb, pid)
        return {}
    return command


COMMANDS = {
    "ping": ping,
    "capture_a": phases.capture_a,
    "trace_start": phases.trace_start,
    "trace_stop": phases.trace_stop,
    "capture_b": phases.capture_b,
    "trim": phases.trim,
    "open": phases.what_is_open,
    "census": phases.count_types,
    "signal": send_signal,
    "stacks": stacks,
    "successor": order("successor"),
    "retire": order("retire"),
    "cancel": order("cancel"),
}
