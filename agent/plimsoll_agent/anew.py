"""A worker that executes itself anew (os.execv, as reloaders and wrappers do) is the same process, and the pool's worker still.

begin() takes PLIMSOLL_CONTROL out of the environment, so that what the worker starts is not taken for a worker. Here it is put back for
an exec of the worker's own process, and for no other: children that the application forks go on without it. All of os.exec*()
end in the two functions that are replaced.
"""
import os

NAME = "PLIMSOLL_CONTROL"


def keep(control):
    """Called when PLIMSOLL_CONTROL has been hidden. None: it was not there to be kept."""
    if control is None:
        return
    pid, plain_v, plain_ve = os.getpid(), os.execv, os.execve

    def execv(path, argv):
        if os.getpid() != pid:
            return plain_v(path, argv)
        os.environ[NAME] = control
        try:
            return plain_v(path, argv)
        finally:                            # there is no such program: we go on
            os.environ.pop(NAME, None)

    def execve(path, argv, env):
        return plain_ve(path, argv, _with(env, control) if os.getpid() == pid else env)

    os.execv, os.execve = execv, execve
    if plain_ve in os.supports_fd:
        os.supports_fd.add(execve)


def _with(env, control):
    """Made from what the application sees, it lacks what we have hidden."""
    try:
        return dict(env, **{NAME: control}) if NAME not in env and os.fsencode(NAME) not in env else env
    except (TypeError, ValueError):         # no mapping, or bytes for keys: the plain function says what is wrong with it
        return env
