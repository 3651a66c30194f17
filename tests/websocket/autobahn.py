#!/usr/bin/env python3
"""Autobahn's test suite against uvicorn, direct and through the proxy: every case must end alike.

    tests/websocket/autobahn.py [--python ~/.pyenv/versions/2.7.18/bin/python] [CASE ...]      (1.* 2.* ...; default: all)

The suite (PyPI: autobahntestsuite) runs on Python 2.7 alone, which Debian has no more; without one this says so and exits with 77.
It is installed into build/venvs/autobahn; the report stands in build/autobahn.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.binary import ROOT  # noqa: E402
from harness.proxy import Proxy, free_port  # noqa: E402

HERE = ROOT / "build" / "venvs" / "autobahn"
OUTCOME = ("behavior", "behaviorClose", "remoteCloseCode")


def installed(python):
    if not (HERE / "autobahntestsuite").exists():
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--target", str(HERE), "autobahntestsuite"], check=True)
        (HERE / "zope" / "__init__.py").touch()        # a namespace package: without pip's own .pth it needs this
    return [python, "-c", "import sys; sys.argv[0] = 'wstest'; from autobahntestsuite.wstest import run; run()"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=shutil.which("python2.7"))
    parser.add_argument("cases", nargs="*", default=["*"])
    options = parser.parse_args()
    if not options.python:
        print("no Python 2.7 here, and Autobahn's test suite runs on nothing newer")
        sys.exit(77)
    wstest = installed(options.python)

    venvs = ROOT / "tests" / "e2e" / "venvs.py"
    interpreter = subprocess.run([sys.executable, venvs, "--no-agent", "websocket"], stdout=subprocess.PIPE, text=True,
                                 check=True).stdout.split()[-1]
    worker, proxy = free_port(), Proxy()
    report = ROOT / "build" / "autobahn"
    urls = {"direct": "ws://127.0.0.1:%d" % worker, "proxied": "ws://127.0.0.1:%d" % proxy.port}
    specification = {"outdir": str(report), "cases": options.cases, "exclude-cases": [], "exclude-agent-cases": {},
                     "servers": [{"agent": agent, "url": url} for agent, url in urls.items()]}
    try:
        proxy.beside([interpreter, "-m", "uvicorn", "--app-dir", pathlib.Path(__file__).parent, "--port", str(worker), "--ws",
                      "websockets", "--log-level", "warning", "app:app"])
        proxy.configure({"log": {"level": "info"},
                         "pool": [{"name": "app", "source": {"kind": "static", "addresses": ["127.0.0.1:%d" % worker], "slots": 16}}]})
        proxy.start()
        proxy.wait_serving(1)
        path = proxy.directory / "specification.json"
        path.write_text(json.dumps(specification))
        subprocess.run([*wstest, "--mode", "fuzzingclient", "--spec", str(path)], env={**os.environ, "PYTHONPATH": str(HERE)},
                       stdout=subprocess.DEVNULL, check=True)
        proxy.stop()
    finally:
        proxy.clean_up()
    results = json.loads((report / "index.json").read_text())
    direct, proxied = results["direct"], results["proxied"]
    outcome = lambda case: [case.get(key) for key in OUTCOME]
    different = [name for name in direct if outcome(direct[name]) != outcome(proxied.get(name, {}))]
    for name in different:
        print("%s: direct %s, through the proxy %s" % (name, outcome(direct[name]), outcome(proxied.get(name, {}))))
    print("%d cases, %d end differently through the proxy" % (len(direct), len(different)))
    sys.exit(1 if different or not direct else 0)


main()
