"""uvicorn's supervisor of `--workers N`: since 0.50 or so it stops the whole server when a child that it started in another's place
fails to start. A first batch that cannot start should end the server; later children are started anew instead.
"""
from .. import quiet


def patch(module):
    if not hasattr(module, "STARTUP_FAILURE"):
        return                              # it never stops
    plain = module.Multiprocess.init_processes

    def init_processes(self):
        plain(self)
        watch(self)
    module.Multiprocess.init_processes = init_processes
    keep = module.Multiprocess.keep_subprocess_alive

    def keep_subprocess_alive(self):
        after_first_batch(self, module)
        keep(self)
    module.Multiprocess.keep_subprocess_alive = keep_subprocess_alive


@quiet.guarded
def watch(supervisor):
    supervisor.plimsoll_first = set(map(id, supervisor.processes))


@quiet.guarded
def after_first_batch(supervisor, module):
    """No exit code is this one. Set once a child has been replaced, which happens only after a life that had begun."""
    if any(id(process) not in supervisor.plimsoll_first for process in supervisor.processes):
        module.STARTUP_FAILURE = None
