"""Makes the virtual environments that the tests run servers in: one for each Python, under build/venvs.

    python agent/tests/venvs.py [NAME...]        runner frameworks py38 py39 ... py313 debian; default: all that this machine can make
    build/venvs/runner/bin/python -m pytest -n 4 agent/tests

`runner` holds pytest and pytest-xdist, with which the tests themselves run. `frameworks` holds the newest Flask, Django, FastAPI and SQLAlchemy on
the runner's Python, beside the servers. Each other environment holds the newest gunicorn,
gevent, uvicorn and uvicorn-worker that its Python can get from PyPI; `debian` is the system's Python with the distribution's own
gunicorn (20.1 in Debian 12). A stamp in each tells what it was made from, so that a second run costs nothing. A Python that is
missing is skipped, and the tests then say so; one that is newer than all that this machine has comes from tests/pythons.py.
"""
import glob
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "tests"))

import pythons                              # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENVS = os.environ.get("PLIMSOLL_VENVS") or os.path.join(ROOT, "build", "venvs")
VERSIONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]
SERVERS = ["gunicorn", "gevent", "uvicorn", "uvicorn-worker", "packaging"]
FRAMEWORKS = SERVERS + ["flask", "django", "fastapi", "sqlalchemy"]
BESIDE_DEBIAN = ["gevent", "greenlet", "zope.event", "zope.interface", "uvicorn", "h11", "click", "uvicorn-worker", "packaging"]
NAMES = ["py" + version.replace(".", "") for version in VERSIONS] + ["debian"]


def interpreter(name):
    """The Python that an environment is made of, or None where this machine has none."""
    if name in ("runner", "frameworks"):
        return sys.executable
    if name == "debian":
        python = "/usr/bin/python3"
        return python if os.path.exists("/usr/lib/python3/dist-packages/gunicorn") else None
    version = name[2] + "." + name[3:]
    pyenv = sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/%s.*/bin/python" % version)))
    found = pyenv[-1] if pyenv else shutil.which("python" + version)
    if found is None and version in pythons.MODULES:
        try:
            found = pythons.interpreter(version)
        except LookupError as reason:
            print("%s: %s" % (name, reason), file=sys.stderr)
    return found


def has_pip(python):
    return subprocess.run([python, "-c", "import ensurepip"], stderr=subprocess.DEVNULL).returncode == 0


def python_of(name):
    return os.path.join(VENVS, name, "bin", "python")


def made(name):
    return os.path.exists(os.path.join(VENVS, name, "made"))


def make(name):
    python = interpreter(name)
    if python is None:
        return "skipped: no such Python here"
    home = os.path.join(VENVS, name)
    packages = {"runner": ["pytest", "pytest-xdist"], "debian": BESIDE_DEBIAN, "frameworks": FRAMEWORKS}.get(name, SERVERS)
    recipe = "%s\n%s\n" % (os.path.realpath(python), " ".join(packages))
    stamp = os.path.join(home, "made")
    if os.path.exists(stamp) and open(stamp).read() == recipe:
        return "there"
    shutil.rmtree(home, ignore_errors=True)
    debian, whole = name == "debian", has_pip(python)
    options = ["--system-site-packages", "--without-pip"] if debian else [] if whole else ["--without-pip"]
    subprocess.run([python, "-m", "venv"] + options + [home], check=True)
    if debian or not whole:                                     # its venv has no ensurepip: another Python's pip fills it
        pip = [sys.executable, "-m", "pip", "--python", python_of(name)]
    else:
        pip = [python_of(name), "-m", "pip"]
    install = pip + ["install", "--quiet", "--disable-pip-version-check"]
    if debian:                                                  # and does not see that gunicorn is there: no dependencies
        install.append("--no-deps")
    subprocess.run(install + packages, check=True)
    with open(stamp, "w") as file:
        file.write(recipe)
    return "made"


if __name__ == "__main__":
    for name in sys.argv[1:] or ["runner", "frameworks"] + NAMES:
        print(name, make(name), flush=True)
