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
        after_startup(self)

    async def shutdown(self, sockets=None):
        before_shutdown()
        await plain_shutdown(self, sockets=sockets)

    server.startup, server.shutdown = startup, shutdown


@quiet.guarded
def before_startup(server, sockets):
    if sockets and workers.current() is None:
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
def after_startup(server):
    """The lifespan's startup is over and the sockets are served. gunicorn's classes say ready by themselves."""
    if not getattr(server, "started", False):
        return
    if workers.current() is None:
        config = settings.read()
        served = next((sock for listening in server.servers for sock in listening.sockets or ()), None)
        begin(server, config, listener.run_dir(config), served, None)
    ours = workers.current()
    if ours.server_name == "uvicorn":
        ours.agent.ready()


def begin(server, config, run_dir, listening, path):
    listener.sweep(run_dir)
    stacks = abort.open_file(run_dir, os.getuid())
    abort.listen()
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
def before_shutdown():
    """Under gunicorn too: uvicorn ends by the signal that it was sent, so gunicorn's worker_exit is never called."""
    ours = workers.current()
    if ours is not None:
        ours.leave()
