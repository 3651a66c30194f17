"""uvicorn: under `--workers N` (or --reload) the children share their parent's sockets, so each adds a private listener to the list that
it will serve. A uvicorn of one process has an address of its own already, and tells that one. In gunicorn's worker classes the agent
is there before the server starts, and nothing is added.
"""
import os
import sys

from .. import listener, quiet, settings, worker as workers
from ..capture import abort


def patch(module):
    server = module.Server
    plain_startup, plain_shutdown = server.startup, server.shutdown

    async def startup(self, sockets=None):
        before_startup(self, sockets)
        await plain_startup(self, sockets=sockets)
        after_startup(self, sockets)

    async def shutdown(self, sockets=None):
        before_shutdown()
        await plain_shutdown(self, sockets=sockets)
        after_shutdown()

    server.startup, server.shutdown = startup, shutdown


_paths = []                                 # of this process's private listener, to remove


@quiet.guarded
def before_startup(server, sockets):
    if workers.current() is not None:
        return
    config = settings.read()
    run_dir = listener.run_dir(config)
    private = None
    if sockets and config.listen != "none":
        private = make_listener(config, run_dir)
        sockets.append(private)             # uvicorn serves the list, and closes what is in it at the end
    stacks = abort.open_file(run_dir, os.getuid())
    abort.listen()
    workers.begin(config, facts(server.config, stacks), private, lambda connection: address(server, private, connection))


def make_listener(config, run_dir):
    if config.listen == "tcp":
        return listener.tcp(listener.local_host(config))
    path = os.path.join(run_dir, listener.fresh_name())
    private = listener.unix(path)
    _paths.append(path)
    return private


def address(server, private, connection):
    """None until the server listens: a dial may come before."""
    if private is not None:
        return listener.address_of(private, connection.local_host())
    for served in getattr(server, "servers", ()):
        for sock in served.sockets or ():
            return listener.address_of(sock, connection.local_host())
    return None


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
def after_startup(server, sockets):
    """The lifespan's startup is over and the sockets are served. gunicorn's classes say ready by themselves."""
    ours = workers.current()
    if ours is not None and getattr(server, "started", False) and ours.server_name == "uvicorn":
        ours.agent.ready()


@quiet.guarded
def before_shutdown():
    ours = workers.current()
    if ours is not None:
        ours.agent.bye()


@quiet.guarded
def after_shutdown():
    while _paths:
        os.unlink(_paths.pop())
