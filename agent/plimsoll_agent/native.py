"""Threads, locks and waiting as the interpreter made them, whatever gevent put in their place: a greenlet gets no turn while the
application computes, a thread does. Sockets come from `_socket`, which nobody patches."""
import sys

import _thread
import select
import time


def _original(module, name):
    monkey = sys.modules.get("gevent.monkey")
    return monkey.get_original(module.__name__, name) if monkey else getattr(module, name)


start_thread = _original(_thread, "start_new_thread")
allocate_lock = _original(_thread, "allocate_lock")
poll = _original(select, "poll")
monotonic = time.monotonic
sleep = _original(time, "sleep")
POLLIN = select.POLLIN if hasattr(select, "POLLIN") else 1


def epoll():
    return _original(select, "epoll")()     # gevent takes it away altogether
