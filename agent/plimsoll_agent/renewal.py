"""A private listener whose path is gone (systemd deletes /run/plimsoll when the proxy stops) gets a new one, in a server that runs on.

No server is asked to listen on one socket more, as each does that in its own way and some not at all. Instead the new socket takes
the old one's descriptor: whoever accepts from that number, in Python, libuv or libev, accepts from the new socket from then on. Two
things remain of the old one, which the kernel keeps by file and not by number:

    a select() or poll() in progress    is woken by the old socket's end, looks at the number again, and finds a connection of ours
    a registration with epoll           went with the old socket, and is repeated as it was, with the loop's own word in it
"""
import errno
import os
import platform
import re

import _socket

from . import listener as listeners, quiet

try:
    import ctypes
except ImportError:
    ctypes = None

ADD = 1                                     # EPOLL_CTL_ADD
WATCHED = re.compile(r"^tfd:\s*(\d+)\s+events:\s*([0-9a-f]+)\s+data:\s*([0-9a-f]+)(?:\s+pos:\S+\s+ino:([0-9a-f]+))?", re.MULTILINE)


def renew(listener, settings):
    """Called before each hello. The path, where it has become another one."""
    if not isinstance(listener, listeners.Private) or listener.family != _socket.AF_UNIX:
        return None
    former = listener.getsockname()
    if listener.is_there() and not _belongs_elsewhere(former, settings):
        return None
    fresh = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        path = _bind(fresh, former, settings)
        fresh.listen(listeners.BACKLOG)
        fresh.setblocking(False)
        _take_over(listener.number(), fresh, path)
    finally:
        fresh.close()
    if path != former and listeners.identity(former) == listener.bound:
        os.unlink(former)
    listener.moved(path)
    return path if path != former else None


def _belongs_elsewhere(path, settings):
    """It was bound while the proxy was away and its folder with it."""
    wanted = listeners.wanted_dir(settings)
    return wanted is not None and os.path.abspath(os.path.dirname(path)) != os.path.abspath(wanted)


def _bind(fresh, former, settings):
    """Under its former name, by which the arbiter removes it, wherever that can be."""
    folder = listeners.run_dir(settings, os.path.dirname(former))
    path = os.path.join(folder, os.path.basename(former))
    try:
        listeners.bind(fresh, path)
    except OSError:
        path = os.path.join(folder, listeners.fresh_name())
        listeners.bind(fresh, path)
    return path


def _take_over(number, fresh, path):
    watching = list(_watching(number))
    former = _socket.socket(fileno=os.dup(number))
    visitor = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        if not watching:                    # it goes to sleep again where nobody is there
            visitor.connect(path)
        os.dup2(fresh.fileno(), number, inheritable=False)
        if not watching:
            former.shutdown(_socket.SHUT_RDWR)
    finally:
        visitor.close()
        former.close()
    for epoll, events, data in watching:
        _watch(epoll, number, events, data)


def _watching(number):
    """(descriptor of an epoll, events, the word that it gives back) for each that watches the socket of this number."""
    inode = os.fstat(number).st_ino
    for entry in os.listdir("/proc/self/fd"):
        try:
            if os.readlink("/proc/self/fd/" + entry) != "anon_inode:[eventpoll]":
                continue
            with open("/proc/self/fdinfo/" + entry) as file:
                text = file.read()
        except OSError:
            continue                        # closed meanwhile
        for watched, events, data, of in WATCHED.findall(text):
            if int(watched) == number and (not of or int(of, 16) == inode):
                yield int(entry), int(events, 16), int(data, 16)


def _watch(epoll, number, events, data):
    if ctypes is None:
        quiet.once("epoll", "the private listener was bound anew, and this Python has no ctypes to tell its loop: restart the server")
        return

    class Event(ctypes.Structure):
        _pack_ = 1 if platform.machine() == "x86_64" else 0
        _fields_ = [("events", ctypes.c_uint32), ("data", ctypes.c_uint64)]

    done = ctypes.CDLL(None, use_errno=True).epoll_ctl(epoll, ADD, number, ctypes.byref(Event(events, data)))
    if done != 0 and ctypes.get_errno() != errno.EEXIST:               # it can have come back by itself
        quiet.once("epoll", "the private listener was bound anew, and its loop could not be told: %s" % os.strerror(ctypes.get_errno()))
