"""The arbiter's word about a worker that it reaped. It has no thread of ours, so the word is said at once, by a connection of its own,
and within a tenth of a second or not at all."""
import errno
import time

import _socket

from .. import identity, protocol

STEP = 0.04                                 # for connecting, and for sending
SILENCE = 5.0                               # after a failure: a server whose workers die in rows must not wait for each

_silent_until = 0.0


def say(settings, peer, pid, status, boot_failed):
    """peer: the proxy's address as a worker found it; looking up a name here could take seconds."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    word = dict(identity.place(), type="exited", pid=pid, status=status, pool=settings.pool, token=settings.token, boot_failed=boot_failed)
    try:
        _send(settings.control[1] if settings.control[0] == "unix" else peer, protocol.pack(word))
    except OSError as error:
        if error.errno != errno.ENOENT:     # no such socket costs nothing, and a proxy that starts makes one
            _silent_until = time.monotonic() + SILENCE


def _send(target, frame):
    if target is None:
        return
    if isinstance(target, str):
        family = _socket.AF_UNIX
    else:
        family = _socket.AF_INET6 if ":" in target[0] else _socket.AF_INET
    sock = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        sock.settimeout(STEP)
        sock.connect(target)
        sock.sendall(frame, _socket.MSG_NOSIGNAL)
    finally:
        sock.close()
