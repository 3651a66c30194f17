"""uvicorn: under `--workers N` (or --reload) the children share their parent's sockets, so each adds a private listener to the list that
it will serve. A uvicorn of one process has an address of its own already, and tells that one. In gunicorn's worker classes the agent
is there before the server starts, and nothing is added.
"""
import os
import sys
import threading
import weakref

import _thread

from .. import listener, quiet, settings, worker as workers
from ..capture import abort, ownership


_first = None                               # weak: (its process, the server that started first in it)


def patch(module):
    server = module.Server
    plain_serve, plain_startup, plain_shutdown = server.serve, server.startup, server.shutdown

    async def serve(self, *args, **named):  # here, as the application is loaded after it, and may start a server of its own
        speaks(self)
        return await plain_serve(self, *args, **named)

    async def startup(self, sockets=None):
        before_startup(self, sockets)
        await plain_startup(self, sockets=sockets)
        after_startup(self, sockets)

    async def shutdown(self, sockets=None):
        before_shutdown(self, sockets)
        await plain_shutdown(self, sockets=sockets)

    server.serve, server.startup, server.shutdown = serve, startup, shutdown


def speaks(server, sockets=None):
    """Whether it is the one that clients were told of: not another one in the same process, for metrics or an internal API. Of uvicorn's that
    is the first; in gunicorn's worker classes the one that serves the private listener."""
    global _first
    ours = workers.current()
    if ours is not None and ours.server_name != "uvicorn":
        return bool(sockets) and (ours.listener is None or ours.listener in sockets)
    if _first is None or _first[0] != os.getpid() or _first[1]() is None:
        if _is_beside():
            return False
        _first = os.getpid(), weakref.ref(server)
    return _first[1]() is server


def _is_beside():
    """In a thread, while the main one is in uvicorn: it loads an application, and that has started us."""
    main = threading.main_thread().ident
    frame = sys._current_frames().get(main) if _thread.get_ident() != main else None
    folder = os.path.join(os.path.dirname(sys.modules["uvicorn"].__file__), "")
    while frame is not None and not frame.f_code.co_filename.startswith(folder):
        frame = frame.f_back
    return frame is not None


@quiet.guarded
def before_startup(server, sockets):
    if sockets and not workers.taken() and speaks(server):
        config = settings.read()
        run_dir = listener.run_dir(config)
        private = path = None
        if config.listen == "unix":
            path = os.path.join(run_dir, listener.fresh_name())
            private = listener.unix(path)
        elif config.listen == "tcp":
            private = listener.tcp(listener.local_host(config))
        if private is not None:
            sockets.append(private)         # uvicorn serves the list, and closes what is in it at the end
        begin(server, config, run_dir, private, path)


@quiet.guarded
def after_startup(server, sockets):
    """The lifespan's startup is over and the sockets are served. gunicorn's classes say ready by themselves."""
    if not getattr(server, "started", False) or not speaks(server, sockets):
        return
    if not workers.taken():
        config = settings.read()
        served = next((sock for listening in server.servers for sock in listening.sockets or ()), None)
        begin(server, config, listener.run_dir(config), served, None)
    ours = workers.current()
    if ours is not None and ours.server_name == "uvicorn":
        ours.agent.ready()


def begin(server, config, run_dir, listening, path):
    listener.sweep(run_dir)
    stacks = abort.open_file(run_dir, os.getuid())
    abort.listen()
    ownership.tell(server.config.app)       # no name where it is the application itself
    workers.begin(config, facts(server.config, stacks), listening,
                  listening and (lambda connection: listener.address_of(listening, connection.local_host())), path=path)


def facts(config, stacks):
    return {
        "server": "uvicorn",
        "server_version": sys.modules["uvicorn"].__version__,
        "worker_class": "uvicorn",
        "threads": 0,
        "keep_alive": config.timeout_keep_alive,
        "max_requests": config.limit_max_requests or 0,
        "stacks": stacks,
    }


@quiet.guarded
def before_shutdown(server, sockets):
    """Under gunicorn too: uvicorn ends by the signal that it was sent, so gunicorn's worker_exit is never called."""
    ours = workers.current()
    if ours is not None and speaks(server, sockets):
        ours.leave()
