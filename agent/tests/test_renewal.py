"""A private listener is bound anew only under a number that is still its own, and only where whoever waits for it can be told."""
import gc
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import types

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from plimsoll_agent import commands, listener as listeners, quiet, renewal, worker     # noqa: E402
from plimsoll_agent.capture import abort                               # noqa: E402


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="pl") as made:          # short enough for a unix socket
        os.mkdir(os.path.join(made, "run"))
        yield made


@pytest.fixture
def private(folder, monkeypatch):
    monkeypatch.setattr(quiet, "_told", set())
    made = listeners.unix(os.path.join(folder, "run", "worker-1.sock"))
    yield made
    made.close()


def settings(folder):
    return types.SimpleNamespace(run_dir=os.path.join(folder, "run"), control=("unix", os.path.join(folder, "control.sock")))


def descriptors():
    gc.collect()                                            # what earlier tests left would be closed in the midst of ours
    return sorted(os.listdir("/proc/self/fd"))


def is_lost(private):
    path = private.getsockname()
    os.unlink(path)
    return path


def reaches(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_listener_that_an_epoll_watches_is_bound_anew_and_watched(folder, private):
    path, open_before = is_lost(private), descriptors()
    with select.epoll() as epoll, select.epoll():           # one more, which watches nothing
        epoll.register(private.fileno(), select.EPOLLIN)
        assert renewal.renew(private, settings(folder)) is None and private.is_there()
        reaches(path)
        assert epoll.poll(5) == [(private.fileno(), select.EPOLLIN)]
    assert descriptors() == open_before
    is_lost(private)
    renewal.renew(private, settings(folder))
    assert private.is_there()                               # again, of the new socket


def test_warnings_that_are_errors_do_not_come_between(folder):
    code = ("import os, select, sys, types; sys.path.insert(0, sys.argv[1]); from plimsoll_agent import listener, renewal\n"
            "path = os.path.join(sys.argv[2], 'run', 'worker-1.sock'); private = listener.unix(path); epoll = select.epoll()\n"
            "epoll.register(private.fileno(), 1); os.unlink(path)\n"
            "renewal.renew(private, types.SimpleNamespace(run_dir=os.path.dirname(path), control=('tcp', '', 1))); assert private.is_there(); private.close()")
    agent = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run([sys.executable, "-W", "error", "-c", code, agent, folder], stderr=subprocess.PIPE, universal_newlines=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_came_by_the_number_after_the_listener_was_closed_is_left_alone(folder, private):
    path, number, (ours, theirs) = private.getsockname(), private.fileno(), socket.socketpair()
    private.detach()                                        # as gevent's worker does
    os.dup2(theirs.fileno(), number)
    os.unlink(path)
    try:
        assert renewal.renew(private, settings(folder)) is None
        os.write(number, b"hello")
        assert ours.recv(9) == b"hello" and os.listdir(os.path.join(folder, "run")) == [] and private.getsockname() == path
        other = listeners.unix(path)                        # another's, which listens, by the same name
        os.dup2(other.fileno(), number)
        os.unlink(path)
        assert renewal.renew(private, settings(folder)) is None and not os.path.exists(path)
        other.close()
    finally:
        os.close(number)
        ours.close(), theirs.close()


def test_it_is_looked_at_again_when_the_new_socket_is_there(folder, private, monkeypatch):
    is_lost(private)
    answers = [True, False]
    monkeypatch.setattr(listeners.Private, "has", lambda self, number: answers.pop(0))
    open_before = descriptors()
    assert renewal.renew(private, settings(folder)) is None
    assert not answers and os.listdir(os.path.join(folder, "run")) == [] and descriptors() == open_before


def fails(error):
    def call(*args, **named):
        raise error
    return call


@pytest.mark.parametrize("name, broken, told", [
    ("_said_of", fails(PermissionError(13, "Permission denied")), "restart the server"),
    ("_said_of", lambda descriptor: "pos:\t0\nflags:\t02\n", "restart the server"),         # gVisor
    ("ctypes", None, "restart the server"),
    ("_take_over", fails(OSError(24, "Too many open files")), "could not be bound anew"),
], ids=["not allowed", "nothing told", "no ctypes", "no descriptor"])
def test_who_cannot_look_or_tell_leaves_all_as_it_was_and_says_it_once(name, broken, told, folder, private, monkeypatch, capfd):
    is_lost(private)
    monkeypatch.setattr(renewal, name, broken)
    open_before, inode = descriptors(), os.fstat(private.fileno()).st_ino
    with select.epoll() as epoll:
        epoll.register(private.fileno(), select.EPOLLIN)
        assert [renewal.renew(private, settings(folder)) for _ in range(2)] == [None, None]
    assert os.fstat(private.fileno()).st_ino == inode and os.listdir(os.path.join(folder, "run")) == [] and descriptors() == open_before
    assert capfd.readouterr().err.count(told) == 1


def test_an_epoll_that_was_closed_meanwhile_is_none(folder, private, monkeypatch):
    is_lost(private)
    monkeypatch.setattr(renewal, "_said_of", fails(FileNotFoundError(2, "No such file")))
    with select.epoll():
        renewal.renew(private, settings(folder))
    assert private.is_there()


def test_the_backlog_stays_what_the_server_made_of_it(folder, private, monkeypatch):
    assert private.backlog is None
    private.listen(7)
    assert private.backlog == 7


def test_nobody_has_root_follow_a_link(folder, private):
    victim = os.path.join(folder, "victim")
    open(victim, "w").close()
    os.chmod(victim, 0o644)

    class Swapped:
        fileno = private.fileno

        def bind(self, path):
            os.symlink(victim, path)
    for owner in (None, (12345, 12345)):
        with pytest.raises(OSError):
            listeners.bind(Swapped(), os.path.join(folder, "run", "worker-2.sock"), owner)
        assert stat.S_IMODE(os.stat(victim).st_mode) == 0o644 and os.stat(victim).st_uid == os.getuid()


def test_what_lies_where_stacks_go_is_neither_opened_nor_followed(folder):
    name, victim = os.path.join(folder, "stacks.1.txt"), os.path.join(folder, "victim")
    for lay in (lambda: os.mkfifo(name), lambda: os.symlink(victim, name)):
        lay()
        os.close(abort._made(name))
        assert stat.S_ISREG(os.lstat(name).st_mode) and not os.path.exists(victim)
        os.unlink(name)


def test_only_the_folder_of_the_workers_is_made(folder):
    away = types.SimpleNamespace(run_dir=None, control=("unix", os.path.join(folder, "plimsoll", "control.sock")))
    assert listeners.wanted_dir(away) is None and not os.path.exists(os.path.join(folder, "plimsoll"))
    os.mkdir(os.path.join(folder, "plimsoll"))
    for _ in range(2):
        assert listeners.wanted_dir(away) == os.path.join(folder, "plimsoll", "workers")


def test_stacks_have_been_sent_before_the_worker_is_ended_and_only_a_sibling_is(folder, monkeypatch):
    path, said, parents = os.path.join(folder, "stacks.77.txt"), [], [os.getppid()] * 2
    with open(path, "w") as file:
        file.write("Thread 1")
    monkeypatch.setattr(abort, "file_of", lambda pid: path)
    monkeypatch.setattr(abort, "own_signal", lambda: signal.SIGRTMAX)
    monkeypatch.setattr(commands, "parent_of", lambda pid: parents.pop(0))

    def kill(pid, number):
        said.append((pid, number))
        raise ProcessLookupError(3, "No such process")
    monkeypatch.setattr(os, "kill", kill)
    task = types.SimpleNamespace(args={"pid": 77}, left=lambda: 5, file=lambda name, content: said.append(content))
    assert commands.stacks(task) == {} and said == [b"Thread 1", (77, signal.SIGABRT)]
    said[:], parents[:] = [], [os.getppid(), 1]             # the pid is another's meanwhile
    assert commands.stacks(task) == {} and said == [b"Thread 1"]


def test_a_worker_that_ends_binds_nothing_anew(folder, private):
    is_lost(private)
    ended = types.SimpleNamespace(agent=types.SimpleNamespace(has_ended=True), listener=private, _settings=settings(folder), _path=None)
    worker.Worker._renew(ended)
    assert not private.is_there()
    ended.agent.has_ended = False
    worker.Worker._renew(ended)
    assert private.is_there()
