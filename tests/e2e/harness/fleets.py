"""The fleets that the tests know, as [[pool]] tables."""
import shutil
import subprocess
import sys
from pathlib import Path

CLASSES = {
    "sync": ["-k", "sync"],
    "gthread": ["-k", "gthread", "--threads", "4"],
    "gevent": ["-k", "gevent"],
    "asgi": ["-k", "asgi"],
    "uvicorn_worker": ["-k", "uvicorn_worker.UvicornWorker"],
}
ASYNCHRONOUS = {"asgi", "uvicorn_worker"}
UWSGI = ["uwsgi", "uwsgi-debian"]                              # PyPI's, and the one of the distribution
KINDS = [*CLASSES, "command-uvicorn", "uvicorn-workers", *UWSGI]
DEBIAN_PLUGIN = Path("/usr/lib/uwsgi/plugins/python3_plugin.so")


def gunicorn(worker_class="sync", workers=4, app=None, arguments=(), python=sys.executable):
    app = app or ("echo:asgi" if worker_class in ASYNCHRONOUS else "echo:wsgi")
    return [python, "-m", "gunicorn", "-w", str(workers), "-b", "127.0.0.1:0", "--log-level", "warning",
            *CLASSES[worker_class], *arguments, app]


def uwsgi(kind, workers=4, app=None, arguments=()):
    """An ordinary command line: a public socket, and none of what Plimsoll adds."""
    if kind == "uwsgi-debian":
        program = [shutil.which("uwsgi", path="/usr/bin") or "/usr/bin/uwsgi", "--plugin", "python3"]
        assert DEBIAN_PLUGIN.exists(), "apt-get install uwsgi-core uwsgi-plugin-python3 (tests/packages.txt names them)"
    else:
        maker = Path(__file__).resolve().parents[1] / "venvs.py"
        made = subprocess.run([sys.executable, str(maker), "--no-agent", "uwsgi"], stdout=subprocess.PIPE, text=True, check=True)
        program = [str(Path(made.stdout.strip()).with_name("uwsgi"))]
    return [*program, "--socket", "127.0.0.1:0", "--processes", str(workers), "--module", app or "echo:wsgi", "--need-app",
            "--disable-logging", *arguments]


def pool(kind="sync", workers=4, app=None, arguments=(), name="app", **sections):
    """kind: one of KINDS. sections: recycle={...}, memory={...}, capture={...} and so on."""
    if kind == "command-uvicorn":
        source = {"kind": "command", "workers": workers,
                  "command": [sys.executable, "-m", "uvicorn", "--uds", "{socket}", "--log-level", "warning", *arguments,
                              app or "echo:asgi"]}
    elif kind == "uvicorn-workers":
        source = {"kind": "uvicorn", "command": [sys.executable, "-m", "uvicorn", "--workers", str(workers), "--port", "0",
                                                 "--log-level", "warning", *arguments, app or "echo:asgi"]}
    elif kind in UWSGI:
        source = {"kind": "uwsgi", "command": uwsgi(kind, workers, app, arguments)}
    else:
        source = {"kind": "gunicorn", "command": gunicorn(kind, workers, app, arguments)}
    source.update(sections.pop("source", {}))
    recycle = {"max_per_hour": 1000, **sections.pop("recycle", {})}
    return {"name": name, "source": source, "recycle": recycle, **sections}


def fleet(*arguments, **sections):
    return {"pool": [pool(*arguments, **sections)]}
