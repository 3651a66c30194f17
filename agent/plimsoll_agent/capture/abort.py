"""Stacks of a worker that cannot answer: SIGABRT makes faulthandler write them from its signal handler, even while C code holds the GIL.

The file is PLIMSOLL_RUN_DIR/stacks.PID.txt. It is opened before gunicorn changes the user, and stays empty in a healthy life. Crashes
(SIGSEGV, SIGBUS, SIGFPE, SIGILL) leave their stacks there too. faulthandler puts the former handler back and raises the signal again, so
whatever the server does on SIGABRT, it still does.

Where faulthandler is the application's own already (PYTHONFAULTHANDLER=1 is enough) its choice stands for all these, and another signal,
which the hello names, has our file written.
"""
import faulthandler
import os
import signal
import time

from .. import quiet

KEPT = 24 * 3600                            # seconds that a dead worker's stacks wait for somebody to fetch them

_file = None
_folder = None
_signal = None


def path(folder, pid):
    return os.path.join(folder, "stacks.%d.txt" % pid)


def open_file(folder, uid):
    """For this process; the path, or None where faulthandler is the application's own already, and so is the signal that we would take."""
    global _file, _folder, _signal
    taken, number = faulthandler.is_enabled(), signal.SIGRTMAX - 3
    if taken and signal.getsignal(number) != signal.SIG_DFL:
        return None
    name = path(folder, os.getpid())
    try:
        descriptor = _made(name)
    except OSError as error:
        quiet.once("stacks", "no place for stacks: %s: %s" % (name, error.strerror))
        return None
    if os.geteuid() == 0:
        os.fchown(descriptor, uid, -1)
    _file, _folder, _signal = os.fdopen(descriptor, "w"), folder, None
    if taken:
        faulthandler.register(number, file=_file, all_threads=True)
        _signal = number
    return name


def own_signal():
    """That has the file written; None: SIGABRT does."""
    return _signal if _file is not None else None


def _made(name):
    """A new file: what others laid there is neither followed nor waited for, as a FIFO would have us."""
    try:
        os.unlink(name)
    except FileNotFoundError:
        pass
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def renew(folder):
    """Makes the file anew where somebody has deleted it, under the descriptor that faulthandler knows. folder: None where there is no
    better one than before. The path."""
    global _folder
    name = path(_folder, os.getpid())
    if not os.path.exists(name) and folder is not None:
        name = path(folder, os.getpid())
        descriptor = _made(name)
        try:
            os.dup2(descriptor, _file.fileno(), inheritable=False)
        finally:
            os.close(descriptor)
        _folder = folder
    return name


def listen():
    """After the server has set its own handler for SIGABRT, else that one would replace ours."""
    if _file is not None and not faulthandler.is_enabled():
        faulthandler.enable(file=_file, all_threads=True)


def file_of(pid):
    """Where a sibling writes: it has the same folder as we."""
    return path(_folder, pid) if _folder is not None else None


def remove_if_empty(folder, pid):
    name = path(folder, pid)
    try:
        if os.path.getsize(name) == 0:
            os.unlink(name)
    except OSError:
        pass


def leave():
    """For a worker that has no arbiter to clean up after it."""
    if _folder is not None:
        remove_if_empty(_folder, os.getpid())


def sweep(folder):
    """Stacks that nobody fetched. Called once, when a server starts."""
    for entry in os.scandir(folder):
        if entry.name.startswith("stacks.") and entry.name.endswith(".txt"):
            try:
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > KEPT:
                    os.unlink(entry.path)
            except OSError:
                pass
