"""plimsoll-agent run [OPTIONS] -- COMMAND...: the same as setting the environment by hand, for those who prefer to see it."""
import argparse
import os
import sys

from . import __version__, settings

DEFAULT_CONTROL = "unix:/run/plimsoll/control.sock"


def parser():
    main = argparse.ArgumentParser(prog="plimsoll-agent", description="Runs a Python server with Plimsoll's agent in its workers.")
    main.add_argument("--version", action="version", version=__version__)
    commands = main.add_subparsers(dest="verb", metavar="COMMAND")
    run = commands.add_parser("run", usage="plimsoll-agent run [--control ADDRESS] [--pool NAME] [--listen HOW] -- COMMAND...",
                              help="run a server: plimsoll-agent run -- gunicorn app:app")
    run.add_argument("--control", help="unix:/path or tcp:HOST:PORT (PLIMSOLL_CONTROL; default %s)" % DEFAULT_CONTROL)
    run.add_argument("--pool", help="the pool that this server belongs to (PLIMSOLL_POOL)")
    run.add_argument("--listen", help="private listeners: unix, tcp, tcp:ADDRESS or none (PLIMSOLL_LISTEN)")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND...")
    return main


def environment(args, environ):
    """The command's environment: what the options say over what is there already, and our package where it can be found."""
    result = dict(environ)
    for name, value in (("CONTROL", args.control), ("POOL", args.pool), ("LISTEN", args.listen)):
        if value:
            result["PLIMSOLL_" + name] = value
    result.setdefault("PLIMSOLL_CONTROL", DEFAULT_CONTROL)
    settings.Settings(result)               # a mistake is told now, not by each worker
    bootstrap = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bootstrap")
    if os.path.isdir(bootstrap):            # not installed: run from a checkout
        result["PYTHONPATH"] = os.pathsep.join([bootstrap] + [entry for entry in [environ.get("PYTHONPATH")] if entry])
    return result


def main(arguments=None):
    main = parser()
    args = main.parse_args(arguments)
    if args.verb != "run":
        main.print_help()
        sys.exit(2)
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        sys.exit("plimsoll-agent: no command: plimsoll-agent run -- gunicorn app:app")
    try:
        environ = environment(args, os.environ)
    except (ValueError, OSError) as error:
        sys.exit("plimsoll-agent: %s" % error)
    try:
        os.execvpe(command[0], command, environ)
    except OSError as error:
        sys.exit("plimsoll-agent: %s: %s" % (command[0], error.strerror))
