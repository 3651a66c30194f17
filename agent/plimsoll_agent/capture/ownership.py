"""Whose code a file is: the application's own, which can be mended, or somebody else's.

What is neither Python's, nor installed, nor the agent's is the application's wherever it lies. Installed is what lies in site-packages; what
a *.dist-info beside it lists (`pip install --target`, a pex, which may lie among the application's own files); and a known library from
wherever it was imported. An application may be installed too (`pip install .` in an image): then its package is known by what the
server was told to serve. PLIMSOLL_APP, of packages and paths, has all that is the application's.

    PLIMSOLL_APP=shop,lib  -->  else gunicorn shop.wsgi:app, uvicorn shop.asgi:app, DJANGO_SETTINGS_MODULE  -->  else python -m shop

Names decide, as somebody wrote them down. The callable's class, or the module of a function that wraps it, would make a framework or a
middleware the application. Where the name itself is a framework's (`uvicorn django.core.asgi:...`), or the program is a server or a
tool that runs one, nothing is concluded from it; who means it nevertheless says so in PLIMSOLL_APP.
"""
import itertools
import os
import sys
import sysconfig
import types

from .. import quiet
from . import bare

INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)


def _both(paths):
    """As they are written, which is how code objects have them, and without the links on the way."""
    return tuple(sorted({os.path.join(each, "") for path in paths if path for each in (path, os.path.realpath(path))}))


STANDARD = _both([sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")])
PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")      # the agent, wherever it was unpacked
ENVIRONMENT = _both([os.path.join(prefix, "bin") for prefix in (sys.prefix, sys.exec_prefix)])
COMMANDS = ("bin", "Scripts")               # folders of what an installation made to start a program with
NOBODYS = frozenset("""
    gunicorn uvicorn uvicorn_worker uwsgi uwsgidecorators hypercorn daphne granian waitress cheroot cherrypy bjoern meinheld wsgiref
    gevent eventlet tornado twisted trio anyio uvloop multiprocessing runpy concurrent asyncio
    flask django rest_framework fastapi starlette quart sanic litestar aiohttp falcon bottle pyramid werkzeug connexion ninja channels
    a2wsgi asgiref mangum whitenoise paste socketio engineio prometheus_client
    newrelic ddtrace opentelemetry sentry_sdk elasticapm debugpy pydevd coverage pytest viztracer scalene memray pyinstrument
    watchfiles dotenv click typer IPython plimsoll_agent __main__ __mp_main__
""".split())

# Known wherever they lie; without names that an application may well give to a package of its own.
LIBRARIES = NOBODYS - {"__main__", "__mp_main__", "channels", "paste"} | frozenset("""
    sqlalchemy sqlmodel alembic peewee mongoengine pymongo psycopg psycopg2 asyncpg MySQLdb pymysql redis celery kombu
    jinja2 markupsafe pydantic pydantic_core marshmallow attr attrs graphql graphene requests httpx httpcore urllib3 boto3 botocore
    numpy pandas pyarrow grpc lxml PIL yaml orjson
""".split())
MOST_FOLDERS, MOST_ENTRIES, LARGEST_RECORD = 2000, 5000, 1 << 20

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
    return [name for name in _named() if os.sep not in name] or _served() or _program()


def _named():
    return [name.strip() for name in os.environ.get("PLIMSOLL_APP", "").split(",") if name.strip()]


def _served():
    return _of_applications(list(_told) + [os.environ.get("DJANGO_SETTINGS_MODULE", "")])


def _program():
    """`python -m shop`, or a command that the installation of a package made."""
    main = bare.attributes(sys.modules.get("__main__")) or {}
    name = getattr(main.get("__spec__"), "name", None)
    if type(name) is str:
        found = [name[:-len(".__main__")] if name.endswith(".__main__") else name]
    else:
        file = main.get("__file__")
        if type(file) is not str or not (file.startswith(ENVIRONMENT) or is_command(os.path.realpath(file))):
            return []
        found = {thing.__module__ for thing in main.values() if type(thing) is types.FunctionType} - {"__main__"}
        if len(found) > 1:                  # no installation made that: somebody wrote a program, and imported this and that
            return []
    return _of_applications([name for name in found if type(name) is str and name.partition(".")[0] not in LIBRARIES])


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


def _folders_of(name):
    try:
        return [os.path.join(folder, "") for folder in (bare.attributes(sys.modules.get(name)) or {}).get("__path__") or ()]
    except Exception:                       # a namespace, whose folders are looked up as they are asked for
        return []


_resolved = {}                              # a path that was named -> where it led when it was first looked up


def _with_modules(named):
    """Of the paths that are named those beneath which something lies that this process has loaded, as they are named and without links:
    code has the one or the other (/srv/current, which Capistrano has lead to /srv/releases/42)."""
    files = {_file_of(name) for name in list(sys.modules)} - {""} if named else ()
    found = []
    for path in named:
        both = {os.path.abspath(path), _resolved.setdefault(path, os.path.realpath(path))}
        if _any_lies_in(files, both) or _any_lies_in(map(os.path.realpath, files), both):
            found.extend(both)
        else:
            quiet.once(("PLIMSOLL_APP", path), "PLIMSOLL_APP: nothing that is loaded lies in %s" % path)
    return found


def _any_lies_in(files, paths):
    folders = tuple(os.path.join(path, "") for path in paths)
    return any(file in paths or file.startswith(folders) for file in files)


class Own:
    """As it is known now: for many files at once."""

    def __init__(self):
        names, named = packages(), _named()
        paths = _with_modules([path for path in named if os.sep in path])
        self._files = {_file_of(name) for name in names} | set(paths)
        self._folders = tuple(folder for name in names for folder in _folders_of(name)) + tuple(os.path.join(path, "") for path in paths)
        named_names = any(os.sep not in path for path in named) and (bool(self._folders) or self._files != {""})
        self._only = bool(paths) or named_names         # where it names what is there at all
        others = [name for name in LIBRARIES if name in sys.modules]
        self._foreign = tuple(folder for name in others for folder in _folders_of(name))
        self._foreign_files = {_file_of(name) for name in others} - {""}
        if is_command(os.path.realpath(_file_of("__main__"))):
            self._foreign_files.add(_file_of("__main__"))       # a link to one

    def has(self, file):
        if is_standard(file) or file.startswith((PACKAGE,) + ENVIRONMENT):
            return False
        if file in self._files:
            return True
        if is_command(file):
            return False
        home = max((folder for folder in self._folders if file.startswith(folder)), key=len, default="")
        if self._only and not home:
            whole = os.path.realpath(file)
            return whole != file and self.has(whole)
        if any(part in file[max(len(home) - 1, 0):] for part in INSTALLED):    # an environment may lie within the application's folder
            return False
        if file in self._foreign_files or any(len(folder) > len(home) and file.startswith(folder) for folder in self._foreign):
            return False
        return not is_listed(file, home)


_listed = {}                                # folder -> what was installed into it


def is_listed(file, home):
    """A *.dist-info beside it, or beside a folder around it, has it; beneath the application's home."""
    path = file
    while len(path) > len(home):
        folder, name = os.path.split(path)
        if not name or len(folder) < len(home) - 1:
            return False
        if folder not in _listed and len(_listed) < MOST_FOLDERS:
            _listed[folder] = _installed_into(folder)
        if name in _listed.get(folder, ()):
            return True
        path = folder
    return False


def _installed_into(folder):
    found = set()
    try:
        with os.scandir(folder) as entries:
            for entry in itertools.islice(entries, MOST_ENTRIES):
                if entry.name.endswith(".dist-info"):
                    found.update(_top_level(entry.path))
    except (OSError, ValueError):           # in an archive, or no path at all
        pass
    return frozenset(found)


def _top_level(path):
    """The files and folders that a distribution brought; by its name where it lists none."""
    try:
        with open(os.path.join(path, "RECORD"), encoding="utf-8", errors="replace") as record:
            return {line.partition(",")[0].partition("/")[0] for line in record.read(LARGEST_RECORD).splitlines()}
    except OSError:
        return {os.path.basename(path).partition("-")[0]}


def is_command(file):
    """`/usr/local/bin/gunicorn`, wherever it was installed or linked: a few lines that call somebody else's program."""
    folder, name = os.path.split(file)
    return os.path.basename(folder) in COMMANDS and not name.endswith(".py")


def is_own(file):
    return Own().has(file)


def is_standard(file):
    return file.startswith("<") or file.startswith(STANDARD) and not any(part in file for part in INSTALLED)
