#!/usr/bin/env python3
"""The virtual environments that the tests and the demo run in, under build/venvs/NAME.

    tests/e2e/venvs.py current            # makes or refreshes it, prints the path of its interpreter
    tests/e2e/venvs.py current-py3.8      # the same packages on another Python
    tests/e2e/venvs.py --no-agent gunicorn20

NAME is a file in requirements/. An environment is made once and kept: a stamp holds the digest of what went into it, and
one of the agent's sources, so that a change to the agent reinstalls the agent alone. A lock makes concurrent runs wait
for each other instead of building the same one twice.
"""
import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
AGENT = ROOT / "agent"
VENVS = Path(os.environ.get("PLIMSOLL_VENVS", ROOT / "build" / "venvs"))


def interpreter(version):
    """A Python of that version: this one, one on PATH, or one of pyenv's. None: there is none here."""
    if version is None or version == "%d.%d" % sys.version_info[:2]:
        return sys.executable if sys.prefix == sys.base_prefix else os.path.join(sys.base_exec_prefix, "bin", "python3")
    candidates = sorted((Path.home() / ".pyenv" / "versions").glob(version + ".*/bin/python3"))
    candidates += [Path(found) for found in [shutil.which("python" + version)] if found]
    for candidate in candidates:
        said = subprocess.run([candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
        if said == version:
            return str(candidate)
    return None


def digest(paths):
    said = hashlib.sha256()
    for path in paths:
        said.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return said.hexdigest()


def agent_sources():
    skipped = {"tests", "build", "dist", "__pycache__", ".pytest_cache"}
    return sorted(path for path in AGENT.rglob("*")
                  if path.is_file() and not skipped.intersection(path.relative_to(AGENT).parts[:-1])
                  and not any(part.endswith(".egg-info") for part in path.relative_to(AGENT).parts))


def pip(python, *arguments):
    done = subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *map(str, arguments)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit("pip install %s failed:\n%s" % (" ".join(map(str, arguments)), done.stdout))


def install_agent(python, scratch):
    """From a copy: a build leaves build/ and *.egg-info behind in the tree it builds."""
    if not (AGENT / "pyproject.toml").exists():
        raise SystemExit("%s: there is no agent to install (or pass --no-agent)" % AGENT)
    shutil.rmtree(scratch, ignore_errors=True)
    for source in agent_sources():
        target = scratch / source.relative_to(AGENT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    pip(python, "--force-reinstall", "--no-deps", scratch)
    shutil.rmtree(scratch)


def ensure(name, agent=True):
    """The interpreter of that environment, which is made or refreshed where needed. LookupError: no such Python here."""
    requirements, _, version = name.partition("-py")
    listed = HERE / "requirements" / (requirements + ".txt")
    if not listed.exists():
        raise SystemExit("%s: no such environment; there are %s" % (
            name, ", ".join(sorted(path.stem for path in listed.parent.glob("*.txt")))))
    base = interpreter(version or None)
    if base is None:
        raise LookupError("no Python %s on this machine" % version)
    home = VENVS / (name if agent else name + "-without-agent")
    python = home / "bin" / "python"
    VENVS.mkdir(parents=True, exist_ok=True)
    with open(VENVS / (home.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, packages = home / "stamp", digest([listed]) + " " + base
        had = stamp.read_text().splitlines() if stamp.exists() else ["", ""]
        if had[0] != packages:
            shutil.rmtree(home, ignore_errors=True)
            subprocess.run([base, "-m", "venv", str(home)], check=True)
            pip(python, "-r", listed)
            had = [packages, ""]
            stamp.write_text(packages + "\n\n")
        if agent:
            sources = digest(agent_sources())
            if had[1] != sources:
                install_agent(python, home / "agent-source")
                stamp.write_text(packages + "\n" + sources + "\n")
    return str(python)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-agent", action="store_true", help="without plimsoll-agent")
    parser.add_argument("names", nargs="+", metavar="NAME")
    options = parser.parse_args()
    for name in options.names:
        try:
            print(ensure(name, agent=not options.no_agent))
        except LookupError as reason:
            raise SystemExit("%s: %s" % (name, reason))


if __name__ == "__main__":
    main()
