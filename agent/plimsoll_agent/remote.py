"""The agent of a process that was not started with one. Plimsoll runs a script in it (sys.remote_exec, Python 3.14 and later) that calls
attach(): the same agent as everywhere, but nothing of the server is hooked, no private listener is made, and the environment stays as
it is.

    script -> attach -> Agent -> commands -> capture.*
"""
import atexit
import os
import time

from . import quiet, settings as environment, worker as workers
from .capture import abort, boot

_attached = None                            # kept for as long as the process lives; its pid tells a fork from the process itself


def attach(variables, census):
    """Idempotent. variables: what the environment would say. census: what the heap holds now is what later ones are held against; else
    it is left out, as whoever captures at once wants to know all that there is."""
    global _attached
    if workers.current() is not None or _attached is not None and _attached.pid == os.getpid():
        return
    config = environment.Settings(variables)
    if not census:
        boot.leave_out()
    _attached = workers.Worker(config, {"server": "other", "remote": True, "started_at": started_at(), "stacks": _place_for_stacks(config)})
    _attached.agent.ready()                 # whatever it is, it has been loaded
    _attached.agent.start()


@quiet.guarded
def _place_for_stacks(config):
    """Where this user may write, and nowhere else: nobody would look there."""
    if config.run_dir is None or not os.access(config.run_dir, os.W_OK | os.X_OK):
        return None
    path = abort.open_file(config.run_dir, os.geteuid())
    abort.listen()
    if path is not None:
        atexit.register(_leave, os.getpid())
    return path


def _leave(pid):
    if pid == os.getpid():
        abort.leave()


def started_at(proc="/proc"):
    """When the process began, in unix seconds: not now. Reckoned from the kernel's clocks, as the process's are in ticks since boot."""
    try:
        with open(proc + "/self/stat") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        with open(proc + "/uptime") as file:
            uptime = float(file.read().split()[0])
        return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return time.time()
