"""The fleets that the tests know, as [[pool]] tables."""
import sys

CLASSES = {
    "sync": ["-k", "sync"],
    "gthread": ["-k", "gthread", "--threads", "4"],
    "gevent": ["-k", "gevent"],
    "asgi": ["-k", "asgi"],
    "uvicorn_worker": ["-k", "uvicorn_worker.UvicornWorker"],
}
ASYNCHRONOUS = {"asgi", "uvicorn_worker"}
KINDS = [*CLASSES, "command-uvicorn", "uvicorn-workers"]


def gunicorn(worker_class="sync", workers=4, app=None, arguments=(), python=sys.executable):
    app = app or ("echo:asgi" if worker_class in ASYNCHRONOUS else "echo:wsgi")
    return [python, "-m", "gunicorn", "-w", str(workers), "-b", "127.0.0.1:0", "--log-level", "warning",
            *CLASSES[worker_class], *arguments, app]


def pool(kind="sync", workers=4, app=None, arguments=(), name="app", **sections):
    """kind: one of KINDS. sections: recycle={...}, memory={...}, capture={...} and so on."""
    if kind == "command-uvicorn":
        source = {"kind": "command", "workers": workers,
                  "command": [sys.executable, "-m", "uvicorn", "--uds", "{socket}", "--log-level", "warning", *arguments,
                              app or "echo:asgi"]}
    elif kind == "uvicorn-workers":
        source = {"kind": "uvicorn", "command": [sys.executable, "-m", "uvicorn", "--workers", str(workers), "--port", "0",
                                                 "--log-level", "warning", *arguments, app or "echo:asgi"]}
    else:
        source = {"kind": "gunicorn", "command": gunicorn(kind, workers, app, arguments)}
    source.update(sections.pop("source", {}))
    recycle = {"max_per_hour": 1000, **sections.pop("recycle", {})}
    return {"name": name, "source": source, "recycle": recycle, **sections}


def fleet(*arguments, **sections):
    return {"pool": [pool(*arguments, **sections)]}
