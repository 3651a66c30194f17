"""uWSGI: its workers get their addresses from `map-socket`, so the agent only says who it is and measures.

uWSGI makes its module after the interpreter's start, calls one hook after each fork, and none with lazy-apps, where the application is
imported in the worker itself. `uwsgidecorators` takes that one hook for its own chain: whichever comes later calls the former.

With lazy-apps the agent is there before the application, and nobody tells when that is loaded: release and census of a worker that is ready too
early would be of half an application. (`uwsgi.applications` is for the user to set, `uwsgi.ready()` is true from the start.) So a
thread looks, until uWSGI lists an application and the main thread, which loads them one after the other, is not in one any more.
"""
import gc
import os
import sys
import threading

from .. import listener, native, quiet, settings, worker as workers
from ..capture import abort, boot, ownership

LOOK = 0.02                                 # seconds between two looks
NO_APPLICATION, NO_END = 5.0, 600.0         # of a worker that loads nothing (more), and of one that never comes to an end: ready all the same


def patch(module):
    uwsgi = sys.modules["uwsgi"]
    if uwsgi.worker_id() > 0:
        begin(uwsgi)                        # lazy-apps, or no master
        return
    plain = getattr(uwsgi, "post_fork_hook", None)

    def post_fork():
        begin(uwsgi, forked=True)
        if plain is not None:
            plain()
    uwsgi.post_fork_hook = post_fork


@quiet.guarded
def begin(uwsgi, forked=False):
    """forked: from a master that had the hook; mostly it had the application too. Nobody tells the master that it is about to fork, and a
    census in each worker would unshare the heap that all of them have in common."""
    if workers.taken() or uwsgi.worker_id() == 0:
        return
    boot.shared = gc.get_freeze_count() > 0
    config = settings.read()
    stacks = abort.open_file(listener.run_dir(config), os.getuid())
    abort.listen()
    tell_applications(uwsgi.opt)
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
    if forked and is_loaded(uwsgi):
        boot.leave_out("no census at boot: the application was loaded before the fork, and a census would unshare its heap")
    if is_loaded(uwsgi):                    # mapped sockets answer once the application is there
        ours.agent.ready()
    else:
        native.start_thread(ready_when_loaded, (uwsgi, ours.agent))


@quiet.guarded
def ready_when_loaded(uwsgi, agent):
    began = idle_since = native.monotonic()
    try:
        while not is_loaded(uwsgi):
            native.sleep(LOOK)
            now = native.monotonic()
            if is_loading():
                idle_since = now
            if now - idle_since > NO_APPLICATION or now - began > NO_END:
                break
    finally:
        agent.ready()


def is_loaded(uwsgi):
    mine = _worker(uwsgi)
    return bool(mine.get("requests")) or bool(mine.get("apps")) and not is_loading()


def is_loading():
    """An application is imported, executed from its file, or made by its factory: a module's code, or the import of one, is the main thread's
    outermost. In a request it is the callable's; in between there is none."""
    frame = sys._current_frames().get(threading.main_thread().ident)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame is not None and (frame.f_code.co_name == "<module>" or frame.f_code.co_filename.startswith("<frozen importlib"))


def _worker(uwsgi):
    """uWSGI's own words about this worker; none in a build that has no such list."""
    try:
        return next((each for each in uwsgi.workers() or () if each.get("id") == uwsgi.worker_id()), {})
    except Exception:
        return {}


@quiet.guarded
def tell_applications(options):
    for option in ("module", "wsgi", "wsgi-file", "file", "mount"):
        values = options.get(option, options.get(option.encode()))
        for value in values if isinstance(values, list) else [values]:
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            if not isinstance(text, str):
                continue
            text = text.rpartition("=")[2] if option == "mount" else text       # /shop=shop.wsgi:app
            if text.endswith(".py"):
                ownership.tell_of_file(text)
            else:
                ownership.tell(text)


def _threads(options):
    for name in ("threads", b"threads"):
        if name in options:
            return int(options[name])
    return 1
