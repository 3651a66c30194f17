"""Stands in front of PYTHONPATH when Plimsoll starts a server, so that the agent is there without being installed.

Python imports one sitecustomize: ours, while this folder comes first. So we import the next one ourselves, as Debian and some
platforms have theirs; then the agent, which lies in this folder or beside it. An installed plimsoll-agent that was there first stays.
"""
import os
import sys


def _next_sitecustomize(here):
    """The one that Python would have imported without us, under the name that it expects."""
    ours = sys.modules.pop("sitecustomize", None)
    former = sys.path[:]
    sys.path[:] = [entry for entry in former if os.path.abspath(entry or ".") != here]
    behind = former[former.index(here) + 1:] if here in former else []
    try:
        import sitecustomize    # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = ours
    finally:
        # The path stays as they made it, and we are in front of what was behind us.
        sys.path.insert(next((at for at, entry in enumerate(sys.path) if entry in behind), 0), here)


def _activate(here):
    if "plimsoll_agent" not in sys.modules and not os.path.isdir(os.path.join(here, "plimsoll_agent")):
        beside = os.path.dirname(here)
        if os.path.isdir(os.path.join(beside, "plimsoll_agent")):
            sys.path.append(beside)
    try:
        import plimsoll_agent
        plimsoll_agent.startup()
    except Exception as error:  # the server starts all the same
        sys.stderr.write("plimsoll: the agent is not active: %r\n" % (error,))


_here = os.path.dirname(os.path.abspath(__file__))
try:
    _next_sitecustomize(_here)
finally:
    _activate(_here)
