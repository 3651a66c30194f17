"""Plimsoll's agent: tells the proxy about the worker it lives in, and fetches the evidence when the worker leaks.

Nothing happens unless PLIMSOLL_CONTROL is set. Then a `.pth` file (or the sitecustomize.py that Plimsoll puts in front of PYTHONPATH)
calls `activate`, which waits for gunicorn, uvicorn or uWSGI to be imported and adds hooks beside the user's own:

    activate -> hooks.gunicorn | hooks.uvicorn | hooks.uwsgi -> listener, agent.Agent -> commands -> capture.*

The agent's thread starts in the worker, after the fork. No exception of ours reaches the application.
"""
import os

__version__ = "0.1.0"


def startup():
    """Called when an interpreter starts, in whatever program it is."""
    if os.environ.get("PLIMSOLL_CONTROL"):
        from . import activate
        activate.activate()


def start():
    """For those who prefer to see it: a line in gunicorn.conf.py or in the application's module."""
    if os.environ.get("PLIMSOLL_CONTROL"):
        from . import activate
        activate.from_inside()


def routes(app):
    """One line for an application whose environment is not ours to set: `app = plimsoll_agent.routes(app)`. Its responses carry the
    framework's own pattern in X-Plimsoll-Route; the application comes back as it is. Where the agent is active nothing is left to do."""
    from . import activate
    activate.activate(dict(activate.FRAMEWORKS))
    return app
