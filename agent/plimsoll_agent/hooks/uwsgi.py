"""uWSGI: its workers get their addresses from `map-socket`, so the agent only says who it is and measures.

uWSGI makes its module after the interpreter's start, calls one hook after each fork, and none with lazy-apps, where the application is
imported in the worker itself. `uwsgidecorators` takes that one hook for its own chain: whichever comes later calls the former.
"""
import gc
import os
import sys

from .. import listener, quiet, settings, worker as workers
from ..capture import abort, boot


def patch(module):
    uwsgi = sys.modules["uwsgi"]
    if uwsgi.worker_id() > 0:
        begin(uwsgi)                        # lazy-apps
        return
    plain = getattr(uwsgi, "post_fork_hook", None)

    def post_fork():
        begin(uwsgi)
        if plain is not None:
            plain()
    uwsgi.post_fork_hook = post_fork


@quiet.guarded
def begin(uwsgi):
    if workers.taken() or uwsgi.worker_id() == 0:
        return
    boot.shared = gc.get_freeze_count() > 0
    config = settings.read()
    stacks = abort.open_file(listener.run_dir(config), os.getuid())
    abort.listen()
    version, control = uwsgi.version, os.environ["PLIMSOLL_CONTROL"]
    ours = workers.begin(config, {
        "server": "uwsgi",
        "server_version": version.decode() if isinstance(version, bytes) else str(version),
        "worker_class": "uwsgi",
        "threads": _threads(uwsgi.opt),
        "keep_alive": 0,
        "age": uwsgi.worker_id(),
        "max_requests": 0,
        "stacks": stacks,
    })
    if not uwsgi.masterpid():
        os.environ["PLIMSOLL_CONTROL"] = control        # a reload executes this very process anew
    ours.agent.ready()                      # mapped sockets answer once the application is there


def _threads(options):
    for name in ("threads", b"threads"):
        if name in options:
            return int(options[name])
    return 1
