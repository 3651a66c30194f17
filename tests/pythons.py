#!/usr/bin/env python3
"""A Python newer than the distribution's for the tests: a whole CPython that a Go module carries, unpacked under build/pythons/VERSION.

    tests/pythons.py 3.14            # unpacks it where that has not been done, prints the path of its interpreter

Go's own client fetches the module, and checks it against its checksum. Where there is no Go, or it gets no module, there is no such
Python, and the reason is told.
"""
import fcntl
import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = Path(os.environ.get("PLIMSOLL_PYTHONS", ROOT / "build" / "pythons"))
MODULES = {"3.14": "github.com/kluctl/go-embed-python@v0.0.0-3.14.6-20260610-1"}
MACHINES = {"x86_64": "linux-amd64", "aarch64": "linux-arm64"}
BOUND = 600                                 # seconds, for the download


def interpreter(version):
    """The path of that Python. LookupError says why there is none."""
    if version not in MODULES:
        raise LookupError("no module carries Python %s" % version)
    home = PYTHONS / version
    python = home / "bin" / ("python" + version)
    PYTHONS.mkdir(parents=True, exist_ok=True)
    with open(PYTHONS / (version + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = home / "module"
        if not stamp.exists() or stamp.read_text() != MODULES[version]:
            source = fetch(MODULES[version])
            shutil.rmtree(home, ignore_errors=True)
            unpack(source, home)
            stamp.write_text(MODULES[version])
    return str(python)


def go():
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


def fetch(module):
    """The folder in which the module keeps the Python for this machine."""
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        raise LookupError("the module has no Python for this machine")
    if go() is None:
        raise LookupError("there is no Go that could fetch %s" % module)
    try:
        done = subprocess.run([go(), "mod", "download", "-json", module], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              cwd=str(PYTHONS), timeout=BOUND)
        told = json.loads(done.stdout or "{}")
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise LookupError("%s cannot be fetched: %s" % (module, error))
    if "Dir" not in told:
        raise LookupError("%s cannot be fetched: %s" % (module, told.get("Error") or done.stderr.strip()[-300:]))
    return Path(told["Dir"]) / "python" / "internal" / "data" / MACHINES[platform.machine()]


def unpack(source, home):
    """files.json names everything: folders, files (large ones packed as NAME.gz) and links."""
    for entry in json.loads((source / "files.json").read_text())["files"]:
        target = home / entry["name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.get("symlink"):
            target.symlink_to(entry["symlink"])
        elif (source / entry["name"]).is_dir():
            target.mkdir(exist_ok=True)
        elif entry.get("compressed"):
            with gzip.open(str(source / entry["name"]) + ".gz") as packed, open(target, "wb") as out:
                shutil.copyfileobj(packed, out)
            target.chmod(entry["perm"] & 0o777)
        else:
            shutil.copyfile(source / entry["name"], target)
            target.chmod(entry["perm"] & 0o777)


def main():
    for version in sys.argv[1:] or sorted(MODULES):
        try:
            print(interpreter(version))
        except LookupError as reason:
            raise SystemExit("%s: %s" % (version, reason))


if __name__ == "__main__":
    main()
