"""Whose code a file is: the application's own, which can be mended, or somebody else's.

What is neither Python's, nor installed, nor the agent's is the application's wherever it lies. An application may be installed too
(`pip install .` in an image): then its package is known by what the server was told to serve.

    PLIMSOLL_APP=shop,lib  -->  else gunicorn shop.wsgi:app, uvicorn shop.asgi:app, DJANGO_SETTINGS_MODULE  -->  else python -m shop

Names decide, as somebody wrote them down. The callable's class, or the module of a function that wraps it, would make a framework or a
middleware the application. Where the name itself is a framework's (`uvicorn django.core.asgi:...`), or the program is a server or a
tool that runs one, nothing is concluded from it; who means it nevertheless says so in PLIMSOLL_APP.
"""
import os
import sys
import sysconfig
import types

from . import bare

INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)
STANDARD = tuple(os.path.join(os.path.realpath(path), "") for path in
                 {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")} if path)
PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")      # the agent, wherever it was unpacked
ENVIRONMENT = tuple(os.path.join(prefix, "bin", "") for prefix in {sys.prefix, sys.exec_prefix})
NOBODYS = frozenset("""
    gunicorn uvicorn uvicorn_worker uwsgi uwsgidecorators hypercorn daphne granian waitress cheroot cherrypy bjoern meinheld wsgiref
    gevent eventlet tornado twisted trio anyio uvloop multiprocessing runpy concurrent asyncio
    flask django rest_framework fastapi starlette quart sanic litestar aiohttp falcon bottle pyramid werkzeug connexion ninja channels
    a2wsgi asgiref mangum whitenoise paste socketio engineio prometheus_client
    newrelic ddtrace opentelemetry sentry_sdk elasticapm debugpy pydevd coverage pytest viztracer scalene memray pyinstrument
    watchfiles dotenv click typer IPython plimsoll_agent __main__ __mp_main__
""".split())

_told = {}                                  # modules that the server serves; in the order in which it said so


def tell(name):
    """A hook found what its server serves: `shop.wsgi`, `shop.wsgi:app`, `shop:create_app()`. What is no dotted name says nothing."""
    callable_name = name.partition("(")[0] if type(name) is str else ""
    module = callable_name.partition(":")[0].strip()
    if all(part.isidentifier() for part in module.split(".")) and os.sep not in callable_name:     # as in "config:/etc/shop.ini"
        _told[module] = True


def tell_of(callable_object):
    """A Flask application knows the name that its maker gave it, though another module may serve it."""
    tell((bare.attributes(callable_object) or {}).get("import_name"))


def tell_of_file(path):
    """A file that is served by its path: within an installed package it is the package's."""
    for part in INSTALLED:
        if type(path) is str and part in path:
            tell(path.rpartition(part)[2].partition(os.sep)[0])


def packages():
    """The names whose code is the application's though it be installed."""
    named = [name.strip() for name in os.environ.get("PLIMSOLL_APP", "").split(",") if name.strip()]
    return named or _served() or _program()


def _served():
    return _of_applications(list(_told) + [os.environ.get("DJANGO_SETTINGS_MODULE", "")])


def _program():
    """`python -m shop`, or a command that the installation of a package made."""
    main = bare.attributes(sys.modules.get("__main__")) or {}
    name = getattr(main.get("__spec__"), "name", None)
    if type(name) is str:
        return _of_applications([name[:-len(".__main__")] if name.endswith(".__main__") else name])
    file = main.get("__file__")
    if type(file) is str and file.startswith(ENVIRONMENT):
        return _of_applications([thing.__module__ for thing in main.values() if type(thing) is types.FunctionType])
    return []


def _of_applications(names):
    found = {}
    for name in names:
        if type(name) is str and name and name.partition(".")[0] not in NOBODYS and not is_standard(_file_of(name.partition(".")[0])):
            found[_package(name)] = True
    return list(found)


def _package(name):
    """The outermost package. Where that is but a name that several distributions share, the first within it that is one's own."""
    parts = name.split(".")
    for count in range(1, len(parts)):
        outer = ".".join(parts[:count])
        if outer not in sys.modules or _file_of(outer):
            return outer
    return name


def _file_of(name):
    file = (bare.attributes(sys.modules.get(name)) or {}).get("__file__")
    return file if type(file) is str else ""


class Own:
    """As it is known now: for many files at once."""

    def __init__(self):
        self._files, folders = set(), []
        for name in packages():
            try:
                folders.extend(os.path.join(folder, "") for folder in (bare.attributes(sys.modules.get(name)) or {}).get("__path__") or ())
            except Exception:               # a namespace, whose folders are looked up as they are asked for
                pass
            self._files.add(_file_of(name))
        self._folders = tuple(folders)

    def has(self, file):
        if is_standard(file) or file.startswith((PACKAGE,) + ENVIRONMENT):
            return False
        if file in self._files:
            return True
        inner = next((file[len(folder) - 1:] for folder in self._folders if file.startswith(folder)), file)
        return not any(part in inner for part in INSTALLED)             # an environment may lie within the application's folder


def is_own(file):
    return Own().has(file)


def is_standard(file):
    return file.startswith("<") or file.startswith(STANDARD) and not any(part in file for part in INSTALLED)
