"""A private listener whose path is gone (systemd deletes /run/plimsoll when the proxy stops) gets a new one, in a server that runs on.

No server is asked to listen on one socket more, as each does that in its own way and some not at all. Instead the new socket takes
the old one's descriptor: whoever accepts from that number, in Python, libuv or libev, accepts from the new socket from then on. Two
things remain of the old one, which the kernel keeps by file and not by number:

    a select() or poll() in progress    is woken by the old socket's end, looks at the number again, and finds a connection of ours
    a registration with epoll           went with the old socket, and is repeated as it was, with the loop's own word in it

A number is taken only while it is our listener's: where the server closed that, anything may have got the number since. And only where
the kernel says which epolls watch it: what cannot be looked at (EACCES of older kernels after setuid, gVisor) is not nobody. Whatever
fails, the worker stays as it was.
"""
import errno
import os
import platform
import re
import struct

import _socket

from . import listener as listeners, native, quiet

try:
    import ctypes
except ImportError:
    ctypes = None

ADD = 1                                     # EPOLL_CTL_ADD
EVENT = "=IQ" if platform.machine() == "x86_64" else "@IQ"
BACKLOG = 2048                              # where nobody told us what the loop made of ours: the kernel has a bound of its own
WATCHED = re.compile(r"^tfd:\s*(\d+)\s+events:\s*([0-9a-f]+)\s+data:\s*([0-9a-f]+)(?:\s+pos:\S+\s+ino:([0-9a-f]+))?", re.MULTILINE)


class Unknown(Exception):
    """Who waits for the listener, or how to tell them."""


def renew(listener, settings):
    """Called before each hello; never raises. The path, where it has become another one."""
    if not isinstance(listener, listeners.Private) or listener.family != _socket.AF_UNIX:
        return None
    try:
        former = listener.getsockname()
        if listener.is_there() and not _belongs_elsewhere(former, settings) or not listener.has(listener.number()):
            return None
        path = _bound_anew(listener, former, settings)
    except Unknown as why:
        quiet.once("renewal", "the path of the private listener is gone, and %s: restart the server" % why)
        return None
    except Exception as error:
        quiet.once(("renewal", type(error)), "the private listener could not be bound anew: %r" % (error,))
        return None
    return path if path != former else None


def _bound_anew(listener, former, settings):
    tell = [_told(*watch) for watch in _watching(listener.number())]
    fresh, path = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM), None
    try:
        path = _bind(fresh, former, settings)
        fresh.listen(listener.backlog or BACKLOG)
        fresh.setblocking(False)
        if not _take_over(listener, fresh, path, tell):
            _undo(path, former)
            return former
    except BaseException:
        if path is not None:
            _undo(path, former)
        raise
    finally:
        fresh.close()
    if path != former and listeners.identity(former) == listener.bound:
        os.unlink(former)
    listener.moved(path)
    return path


@quiet.guarded
def _undo(path, former):
    os.unlink(path)
    if os.path.basename(os.path.dirname(path)).startswith("plimsoll-") and os.path.dirname(path) != os.path.dirname(former):
        os.rmdir(os.path.dirname(path))     # made for it


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


def _take_over(listener, fresh, path, tell):
    """False where the number has become something else's. All that may fail comes before dup2."""
    number = listener.number()
    former = listeners.opened(number)
    visitor = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        if not tell:                        # it goes to sleep again where nobody is there
            visitor.connect(path)
        if not listener.has(number):
            return False
        os.dup2(fresh.fileno(), number, inheritable=False)
        if not tell:
            quiet.guarded(former.shutdown)(_socket.SHUT_RDWR)
    finally:
        visitor.close()
        former.close()
    for each in tell:
        each(number)
    return True


def _watching(number):
    """(descriptor of an epoll, events, the word that it gives back) for each that watches the socket of this number."""
    inode, found = os.fstat(number).st_ino, []
    for entry in os.listdir("/proc/self/fd"):
        try:
            if os.readlink("/proc/self/fd/" + entry) != "anon_inode:[eventpoll]":
                continue
            text = _said_of(entry)
        except FileNotFoundError:
            continue                        # closed meanwhile
        except OSError as error:
            raise Unknown("who waits for it is not to be seen (%s)" % error.strerror)
        watches = WATCHED.findall(text)
        if len(watches) != text.count("tfd:") or not watches and not _kernel_tells():
            raise Unknown("this kernel does not tell who waits for it")
        found += [(int(entry), int(events, 16), int(data, 16)) for watched, events, data, of in watches
                  if int(watched) == number and (not of or int(of, 16) == inode)]
    return found


def _said_of(descriptor):
    with open("/proc/self/fdinfo/%s" % descriptor) as file:
        return file.read()


def _kernel_tells():
    """Of an epoll that watches something it says so: then one of which it says nothing watches nothing."""
    reading, writing = os.pipe()
    try:
        with native.epoll() as probe:
            probe.register(reading, native.POLLIN)
            return "tfd:" in _said_of(probe.fileno())
    finally:
        os.close(reading)
        os.close(writing)


def _told(epoll, events, data):
    """A function that has the epoll watch a number, with all made that it needs."""
    if ctypes is None:
        raise Unknown("this Python has no ctypes to tell its loop of another")
    control, event = ctypes.CDLL(None, use_errno=True).epoll_ctl, ctypes.create_string_buffer(struct.pack(EVENT, events, data))

    def tell(number):
        if control(epoll, ADD, number, event) != 0 and ctypes.get_errno() != errno.EEXIST:     # it can have come back by itself
            quiet.once("epoll", "the private listener was bound anew, and its loop could not be told: %s: restart the server"
                       % os.strerror(ctypes.get_errno()))
    return tell
