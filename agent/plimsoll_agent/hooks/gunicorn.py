"""gunicorn 20 and later: a private listener for each worker, its agent, and the arbiter's part in successor-first recycling.

Arbiter.setup runs at start and at each HUP with the configuration as it will be used: the place to put our hooks in front of the
user's own, whatever file, command line or BaseApplication they came from. The hooks, in the order of a worker's life:

    arbiter: pre_fork     names the private listener; guards against the halt of the whole server
    worker:  post_fork    listens, starts the agent          (as root still, where gunicorn changes the user)
             post_worker_init, then the first heartbeat      the application is loaded, and serves
             worker_exit  says bye
    arbiter: child_exit   says how the worker died, removes what it left
"""
import os
import sys

from .. import listener, quiet, settings, worker as workers
from ..capture import abort, boot, ownership
from . import farewell
from .succession import Succession

CLASSES = {                                 # module of a worker class -> its name in the hello
    "gunicorn.workers.sync": "sync",
    "gunicorn.workers.gthread": "gthread",
    "gunicorn.workers.ggevent": "gevent",
    "gunicorn.workers.geventlet": "eventlet",
    "gunicorn.workers.gtornado": "tornado",
    "gunicorn.workers.gasgi": "asgi",
    "uvicorn.workers": "uvicorn",
    "uvicorn_worker._workers": "uvicorn",
}


class Server:
    """What the agent keeps on an arbiter: settings, the folder of its workers' sockets, the succession."""

    def __init__(self, arbiter):
        self.settings = settings.read()
        self.run_dir = listener.run_dir(self.settings)
        self.succession = Succession(arbiter)
        abort.sweep(self.run_dir)
        listener.sweep(self.run_dir)

    def folder(self):
        """For a worker that is forked now: the proxy's may have been deleted with it, and may be back."""
        self.run_dir = listener.run_dir(self.settings, self.run_dir)
        return self.run_dir


def patch(module):
    arbiter = module.Arbiter
    plain_setup, plain_manage = arbiter.setup, arbiter.manage_workers
    module.os = Reaper()

    def setup(self, app):
        install(app.cfg)
        plain_setup(self, app)              # with --preload this loads the application
        prepare(self)

    def manage_workers(self):
        if may_boot(self) is not False:
            plain_manage(self)

    arbiter.setup, arbiter.manage_workers = setup, manage_workers


class Reaper:
    """The arbiter's `os`, which notes how its children ended: child_exit is not told. (A look before the arbiter reaps would miss
    those who die between the two.)"""
    MOST = 1000                             # children of others, too: none of them asks for its status
    statuses = {}                           # pid: as waitpid() gave it

    def __getattr__(self, name):
        return getattr(os, name)

    def waitpid(self, pid, options):
        pid, status = os.waitpid(pid, options)
        if pid:
            while len(self.statuses) >= self.MOST:
                del self.statuses[next(iter(self.statuses))]        # the oldest
            self.statuses[pid] = status
        return pid, status


@quiet.guarded
def install(cfg):
    if getattr(cfg, "plimsoll", False) or workers.taken():
        return
    cfg.plimsoll = True
    for name, ours in (("pre_fork", before_fork), ("post_fork", after_fork), ("worker_exit", leaving), ("child_exit", reaped)):
        cfg.set(name, chain2(quiet.guarded(ours), getattr(cfg, name)))
    cfg.set("post_worker_init", chain1(quiet.guarded(loaded), cfg.post_worker_init))


def chain2(ours, theirs):
    def hook(server, worker):               # gunicorn counts the parameters
        ours(server, worker)
        return theirs(server, worker)
    return hook


def chain1(ours, theirs):
    def hook(worker):
        ours(worker)
        return theirs(worker)
    return hook


@quiet.guarded
def prepare(arbiter):
    if workers.taken():
        return                              # a worker's child started it
    if getattr(arbiter, "plimsoll", None) is None:
        arbiter.plimsoll = Server(arbiter)
    else:
        arbiter.plimsoll.succession.restarted()
    if arbiter.cfg.preload_app:
        boot.remember()              # here, not in each worker: touching a shared heap makes it unshared


@quiet.guarded
def may_boot(arbiter):
    state = getattr(arbiter, "plimsoll", None)
    return state is None or state.succession.before_managing()


# The hooks

def before_fork(server, worker):
    server.plimsoll.succession.forking(worker)
    worker.plimsoll_path = os.path.join(server.plimsoll.folder(), listener.fresh_name())


def after_fork(server, worker):
    state = server.plimsoll
    attach(worker, state.settings, os.path.dirname(worker.plimsoll_path), worker.plimsoll_path, state.succession)


def attach(worker, config, run_dir, path, succession=None):
    """The private listener joins the sockets that the worker class will serve; then the agent starts."""
    private = None
    if config.listen == "unix":
        private = listener.unix(path, (worker.cfg.uid, worker.cfg.gid))
    elif config.listen == "tcp":
        private = listener.tcp(listener.local_host(config))
    if private is not None:
        worker.sockets = list(worker.sockets) + [private]
    stacks = abort.open_file(run_dir, worker.cfg.uid)
    ours = workers.begin(config, facts(worker, stacks), private,
                         private and (lambda connection: listener.address_of(private, connection.local_host())), succession,
                         path if succession is None and config.listen == "unix" else None)
    worker.plimsoll = ours                  # gevent's worker on gunicorn 20 and 23 drops what nobody refers to
    if succession is not None and config.control[0] == "tcp":
        ours.agent.connected = lambda connection: succession.order("peer", "%s %d" % connection.peer())


def facts(worker, stacks):
    cfg = worker.cfg
    kind = next((CLASSES[cls.__module__] for cls in type(worker).__mro__ if cls.__module__ in CLASSES), cfg.worker_class_str)
    return {
        "server": "gunicorn",
        "server_version": sys.modules["gunicorn"].__version__,
        "worker_class": kind,
        "threads": {"sync": 1, "gthread": cfg.threads}.get(kind, 0),
        "keep_alive": 0 if kind == "sync" else cfg.keepalive,
        "age": worker.age,
        "max_requests": cfg.max_requests,
        "stacks": stacks,
    }


def loaded(worker):
    """The application is imported. An ASGI worker still has its lifespan before it, so ready is the first heartbeat, which every class
    gives once it serves. gunicorn has set its signals by now: ours comes in front."""
    abort.listen()
    quiet.guarded(tell_application)(worker)
    ours, plain = workers.current(), worker.notify
    if ours is None:
        return

    def notify():
        worker.notify = plain
        ready(ours)
        plain()
    worker.notify = notify


def tell_application(worker):
    app = worker.app                        # a BaseApplication of the user's has no name of a module, but is in one
    named = app.app_uri or getattr(worker.cfg, "wsgi_app", None) if hasattr(app, "app_uri") else type(app).__module__
    ownership.tell(named)
    ownership.tell_of(getattr(worker, "wsgi", None) or getattr(worker, "asgi", None))


@quiet.guarded
def ready(ours):
    ours.agent.ready()
    if ours.server is not None:
        ours.server.order("ready", ours.pid)


def leaving(server, worker):
    ours = workers.current()                # none where the arbiter itself calls this for a worker that it could not signal
    if ours is not None:
        ours.leave()


def reaped(server, worker):
    state = server.plimsoll
    status = Reaper.statuses.pop(worker.pid, None)
    boot_failed = state.succession.reaped(worker, status)
    named = getattr(worker, "plimsoll_path", None)
    remove(named)
    abort.remove_if_empty(os.path.dirname(named) if named else state.run_dir, worker.pid)
    farewell.say(state.settings, state.succession.peer, worker.pid, status, boot_failed)


def remove(path):
    try:
        if path:
            os.unlink(path)
    except OSError:
        pass


def adopt(found):
    """start() in the application's module: `found` is one of the callers. True where it was the worker or the arbiter to hook."""
    base = sys.modules.get("gunicorn.workers.base")
    arbiter = sys.modules.get("gunicorn.arbiter")
    if base is not None and isinstance(found, base.Worker):
        if not workers.taken():
            late(found)
        return True
    if arbiter is not None and isinstance(found, arbiter.Arbiter):
        adopt_arbiter(found)                # --preload: it loads the application, and forks later
        return True
    return False


@quiet.guarded
def adopt_arbiter(arbiter):
    install(arbiter.cfg)
    if getattr(arbiter, "plimsoll", None) is None:      # its setup() began before we came
        arbiter.plimsoll = Server(arbiter)


@quiet.guarded
def late(worker):
    """The worker is loading its application and has made its list of what to wait for: sync's main loop reads that one."""
    config = settings.read()
    run_dir = listener.run_dir(config)
    install(worker.cfg)
    before = len(worker.sockets)
    attach(worker, config, run_dir, os.path.join(run_dir, listener.fresh_name()))
    if hasattr(worker, "wait_fds"):
        worker.wait_fds = list(worker.wait_fds) + worker.sockets[before:]
