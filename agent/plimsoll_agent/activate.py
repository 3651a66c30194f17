"""Waits for a server to be imported, then hooks it. This module is loaded in every Python process that has PLIMSOLL_CONTROL in its
environment, so it imports nothing itself and costs an import of somebody else's a dictionary look-up.

The finder below answers only for the modules in HOOKS: it lets the other finders find them and calls our hook after the module's
own code has run. A server that was imported before us is hooked at once.
"""
import sys

FRAMEWORKS = {                              # module of a web framework -> our module that tells its routes' patterns
    "flask.app": "plimsoll_agent.hooks.flask",
    "django.core.handlers.base": "plimsoll_agent.hooks.django",
    "starlette.applications": "plimsoll_agent.hooks.starlette",
    "starlette.routing": "plimsoll_agent.hooks.starlette",
    "fastapi.routing": "plimsoll_agent.hooks.starlette",
}
HOOKS = {                                   # module that a server can't do without -> our module whose patch() hooks it
    "gunicorn.arbiter": "plimsoll_agent.hooks.gunicorn",
    "uvicorn.server": "plimsoll_agent.hooks.uvicorn",
    "uvicorn.supervisors.multiprocess": "plimsoll_agent.hooks.uvicorn_supervisor",
    "uwsgidecorators": "plimsoll_agent.hooks.uwsgi",
}
UWSGI = "uwsgi"                             # made by uWSGI itself, found by no finder: looked for whenever something is imported


class Finder:
    def __init__(self, waiting=None):
        self.waiting = waiting or dict(HOOKS, **FRAMEWORKS, **{UWSGI: "plimsoll_agent.hooks.uwsgi"})

    def find_spec(self, name, path=None, target=None):
        if UWSGI in sys.modules and UWSGI in self.waiting:
            self.hook(UWSGI)
        if name not in self.waiting:
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find and finder is not self else None
            if spec is not None:
                self.after_loading(spec, name)
                return spec
        return None

    def after_loading(self, spec, name):
        plain = spec.loader.exec_module

        def exec_module(module):
            plain(module)
            if module.__name__ == name:     # a loader may serve many modules
                self.hook(name)
        try:
            spec.loader.exec_module = exec_module
        except AttributeError as error:
            _report(name, error)

    def hook(self, name):
        ours = self.waiting.pop(name, None)
        if ours is None:
            return
        try:
            __import__(ours)
            sys.modules[ours].patch(sys.modules[name])
        except Exception as error:          # the server starts all the same
            _report(name, error)


def _report(name, error):
    sys.stderr.write("plimsoll: %s is not hooked: %r\n" % (name, error))


def activate(waiting=None):
    """Idempotent: the .pth file, sitecustomize.py and start() may all call it."""
    if any(type(finder).__name__ == "Finder" and type(finder).__module__ == __name__ for finder in sys.meta_path):
        return
    finder = Finder(waiting)
    sys.meta_path.insert(0, finder)
    for name in list(finder.waiting):
        if name in sys.modules:
            finder.hook(name)


def from_inside():
    """start() in gunicorn.conf.py comes before the arbiter is made; in the application's module the server runs already, and is found
    among our callers."""
    activate()
    gunicorn = sys.modules.get("plimsoll_agent.hooks.gunicorn")
    frame = sys._getframe(1)
    while frame is not None and gunicorn is not None:
        if gunicorn.adopt(frame.f_locals.get("self")):
            return
        frame = frame.f_back
