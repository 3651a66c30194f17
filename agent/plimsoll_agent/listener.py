"""A listener of the worker's own: the address at which the proxy can choose, spare and drain this one worker.

A real socket with the few attributes that gunicorn's worker classes look for in their own wrappers. Unix sockets get a name that
no other process can have had (containers that share a volume have the same pids), so a stale file is never in the way.
"""
import errno
import os
import socket
import stat
import time

import _socket

SETTLED = 60                                # seconds after which a socket that nobody listens on is a dead worker's
SUN_PATH = 107                              # the longest address of a unix socket that Linux takes
BACKLOG = 128


class Private(socket.socket):
    sock = property(lambda self: self)      # asgi and gevent take the socket out of gunicorn's wrapper
    bound = inode = None                    # of a unix socket, which file its path was, and which socket it is
    backlog = None                          # with which the server let it listen again; asyncio does, by its own number
    _detached = None                        # gevent's worker takes the descriptor into a socket of its own: (number, name)

    @property
    def FAMILY(self):                       # gevent
        return self.family

    @property
    def cfg_addr(self):
        return self.getsockname()

    def detach(self):
        try:
            self._detached = self.fileno(), self.getsockname()
        except OSError:
            pass                            # closed: uvloop detaches at the end, too
        return super().detach()

    def listen(self, backlog=BACKLOG):
        super().listen(backlog)
        self.backlog = backlog

    def number(self):
        """The descriptor that the server accepts from."""
        return self._detached[0] if self._detached else self.fileno()

    def getsockname(self):
        return self._detached[1] if self._detached else super().getsockname()

    def moved(self, path):
        """Another socket is bound there, and has our descriptor."""
        self.bound, self.inode = identity(path), os.fstat(self.number()).st_ino
        if self._detached:
            self._detached = self._detached[0], path

    def is_there(self):
        """Whether its path still leads to it."""
        return self.bound is not None and identity(self.getsockname()) == self.bound

    def has(self, number):
        """Whether it is our listening socket's: one that was closed is given to whatever is opened next."""
        try:
            probe = opened(number)
        except (OSError, ValueError):
            return False
        try:
            return (os.fstat(number).st_ino == self.inode and probe.getsockname() == self.getsockname()
                    and probe.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN) == 1)
        except OSError:
            return False
        finally:
            probe.close()

    def __str__(self):
        name = self.getsockname()
        return "unix:" + name if isinstance(name, str) else "tcp:%s:%d" % name[:2]


def fresh_name():
    return "worker-%s.sock" % os.urandom(6).hex()


def opened(number):
    """The socket of a descriptor, once more; OSError where it is none."""
    copy = os.dup(number)
    try:
        return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, copy)
    except BaseException:
        os.close(copy)
        raise


def identity(path):
    """Which file it is; None where there is none."""
    try:
        found = os.stat(path)
        return found.st_dev, found.st_ino
    except OSError:
        return None


def wanted_dir(settings):
    """PLIMSOLL_RUN_DIR, else `workers` beside the control socket; None where it is not to be had."""
    wanted = settings.run_dir
    if wanted is None and settings.control[0] == "unix":
        wanted = os.path.join(os.path.dirname(settings.control[1]), "workers")
    if wanted is not None and len(os.path.join(wanted, fresh_name())) <= SUN_PATH:
        try:
            os.mkdir(wanted, 0o755)         # never the folder around it: that is the proxy's to make, with an owner and a mode
        except FileExistsError:
            pass
        except OSError:
            return None
        if os.path.isdir(wanted) and os.access(wanted, os.W_OK | os.X_OK):
            return wanted
    return None


def run_dir(settings, former=None):
    """Where unix sockets and stacks go: where it is wanted, else the folder that we had, else one of our own."""
    wanted = wanted_dir(settings)
    if wanted is not None:
        return wanted
    if former is not None and os.access(former, os.W_OK | os.X_OK):
        return former
    fresh = os.path.join(os.environ.get("TMPDIR") or "/tmp", "plimsoll-" + os.urandom(6).hex())
    os.mkdir(fresh, 0o755)
    return fresh


def unix(path, owner=None):
    listener = Private(socket.AF_UNIX, socket.SOCK_STREAM)
    bind(listener, path, owner)
    listener.bound, listener.inode = identity(path), os.fstat(listener.fileno()).st_ino
    return _listening(listener)


def bind(sock, path, owner=None):
    """Only its owner may connect, and root; in a folder with the setgid bit also the folder's group, which is how a proxy and workers
    with different users meet. Linux makes the file with the socket's own mode, less the umask: that one is the process's, and not ours
    to change while the application's threads run."""
    shared = os.stat(os.path.dirname(path)).st_mode & 0o2000
    mode = 0o660 if shared else 0o600
    os.fchmod(sock.fileno(), mode)
    sock.bind(path)
    try:
        _give(path, mode, owner and (owner[0], -1 if shared else owner[1]))
    except BaseException:
        os.unlink(path)
        raise


def _give(path, mode, owner):
    """By a descriptor: who may write to the folder could put a link to any file in the place of ours, and root would follow it."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise OSError(errno.EEXIST, "another file took its place", path)
        os.chmod("/proc/self/fd/%d" % descriptor, mode)
        if owner is not None and os.geteuid() == 0:
            os.chown(path, owner[0], owner[1], follow_symlinks=False)
    finally:
        os.close(descriptor)


def tcp(host):
    listener = Private(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((host, 0))
    return _listening(listener)


def _listening(listener):
    listener.listen()
    listener.backlog = None                 # a loop in C may change it behind our back
    listener.setblocking(False)
    return listener


def local_host(settings):
    """The address from which the control host is reached; every address where its name has no meaning yet (the proxy's container may
    start after ours). Nothing is sent: connecting a datagram socket only asks the routing table."""
    if settings.listen_host:
        return settings.listen_host
    if settings.control[0] != "tcp":
        return "127.0.0.1"
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.control[1], settings.control[2], 0, socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return probe.getsockname()[0]
    except OSError:
        return "0.0.0.0"


def address_of(listener, reached_from=None):
    """As the hello says it. A listener on every address is announced at the one from which we reach the proxy."""
    name = listener.getsockname()
    if isinstance(name, (str, bytes)):
        return "unix:" + os.path.abspath(os.fsdecode(name))
    host = name[0]
    if host in ("0.0.0.0", "::"):
        host = reached_from or "127.0.0.1"
    return "tcp:%s:%d" % ("[%s]" % host if ":" in host else host, name[1])


def sweep(folder):
    """Sockets of workers that were killed and had nobody to clean up after them. Called when a server starts."""
    for entry in os.scandir(folder):
        if entry.name.startswith("worker-") and entry.name.endswith(".sock"):
            try:
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > SETTLED and not _answers(entry.path):
                    os.unlink(entry.path)
            except OSError:
                pass


def _answers(path):
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            pass                            # a full backlog: somebody is there
        return True
