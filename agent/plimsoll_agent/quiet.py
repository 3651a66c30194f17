"""The agent's only voice: one line on standard error for each cause, ever. Not `logging`: its locks are greenlets' under gevent, and
the application's handlers are none of our business."""
import os

_told = set()


def once(cause, text):
    if cause in _told or len(_told) > 100:
        return
    _told.add(cause)
    try:
        os.write(2, ("plimsoll: [%d] %s\n" % (os.getpid(), text)).encode("utf-8", "replace"))
    except OSError:
        pass


def guarded(function):
    """A hook that never raises into the server that calls it."""
    def call(*args, **named):
        try:
            return function(*args, **named)
        except Exception as error:
            once((call.__name__, type(error)), "%s: %r" % (call.__name__, error))
            return None
    call.__name__ = getattr(function, "__name__", "call")
    return call
