#!/usr/bin/env python3
"""docker/compose.yaml for real: starts a Docker engine of its own, builds both images, brings the composition up, drives it
until Plimsoll recycles a worker in the other container, and takes everything down again.

    tests/docker/run.py [--binary build/release/plimsoll | --from-source]

Where no engine can run it says why and exits with 77, which CTest and .ci/run count as skipped. No registry is needed: the base
image is made by debootstrap once and kept under build/docker. The engine has no bridge, so both containers get the host's
network here; all else (file systems, processes, users, memory limits) stays apart, as in the composition.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "docker"
sys.path[:0] = [str(ROOT / "tests" / "demo"), str(ROOT / "tests" / "e2e"), str(ROOT / "tests" / "apps")]

from harness.proxy import free_port  # noqa: E402
from harness.waiting import until  # noqa: E402
from traffic import Customers  # noqa: E402

SKIPPED = 77
BASE = "debian:bookworm-slim"
RUNTIME = ["ca-certificates", "libboost-json1.81.0", "libprometheus-cpp-core1.0", "libre2-9", "libspdlog1.10", "libsqlite3-0", "libssl3",
           "libtomlplusplus3", "python3-venv"]


def skip(why):
    print("skipped: " + why)
    sys.exit(SKIPPED)


def say(text):
    print("%s %s" % (time.strftime("%H:%M:%S"), text), flush=True)


def base_image():
    """A minimal Debian as a tar, in which this machine's way to its package mirrors works too."""
    tar = CACHE / "base.tar"
    if tar.exists():
        return tar
    say("making a base image (once)")
    rootfs = CACHE / "rootfs"
    shutil.rmtree(rootfs, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["debootstrap", "--variant=minbase", "--include=" + ",".join(RUNTIME), "bookworm", rootfs], check=True,
                   stdout=subprocess.DEVNULL)
    for path in ("etc/ssl/certs/ca-certificates.crt", "etc/pip.conf", "etc/apt/sources.list.d/debian.sources"):
        if Path("/" + path).exists():
            shutil.copyfile("/" + path, rootfs / path)
    subprocess.run(["tar", "-C", rootfs, "--exclude=./var/cache/apt/archives/*.deb", "-cf", str(tar) + ".new", "."], check=True)
    os.rename(str(tar) + ".new", tar)
    shutil.rmtree(rootfs)
    return tar


class Engine:
    """A dockerd of our own, with a directory, a socket and a pid file of its own: another engine on this machine is not touched."""

    def __init__(self):
        self.place = Path(tempfile.mkdtemp(prefix="pl-docker-", dir="/tmp"))
        self.socket = "unix://%s/docker.sock" % self.place
        self.environment = dict(os.environ, DOCKER_HOST=self.socket, DOCKER_BUILDKIT="0", COMPOSE_DOCKER_CLI_BUILD="0",
                                COMPOSE_PROJECT_NAME="plimsoll-test")
        log = open(self.place / "log", "wb")
        self.process = subprocess.Popen(
            ["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=overlay2",
             "--data-root=%s" % (CACHE / "data"), "--exec-root=%s" % (self.place / "exec"), "-H", self.socket,
             "--pidfile=%s" % (self.place / "pid")], stdout=log, stderr=log, start_new_session=True)
        log.close()

    def wait(self):
        def answers():
            return self.process.poll() is not None or self.docker("version", quiet=True).returncode == 0
        until(answers, 30, "the engine answers", pause=0.2)
        if self.process.poll() is not None:
            last = (self.place / "log").read_text().strip().splitlines()[-1:]
            self.stop()
            skip("dockerd does not run here: %s" % " ".join(last))

    def docker(self, *arguments, quiet=False, **more):
        where = subprocess.DEVNULL if quiet else None
        return subprocess.run(["docker", *map(str, arguments)], env=self.environment, stdout=where, stderr=where, **more)

    def said(self, *arguments):
        return subprocess.run(["docker", *map(str, arguments)], env=self.environment, check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        subprocess.run(["umount", "-l", self.place / "exec" / "netns" / "default"], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.place, ignore_errors=True)


class Composition:
    """docker/compose.yaml, with the few lines changed that this engine can't do or that must not collide with others."""

    def __init__(self, engine, prebuilt):
        self.engine = engine
        self.port, self.control = free_port(), free_port()
        self.directory = engine.place / "compose"
        self.directory.mkdir()
        text = (ROOT / "docker" / "compose.yaml").read_text()
        text = re.sub(r'    ports:\n(      - .*\n)+', "", text)                        # no bridge, so nothing to publish
        text = text.replace("context: ..", "context: %s\n      network: host\n      args:\n        PREBUILT: \"%s\"" % (ROOT, prebuilt))
        text = text.replace("tcp:plimsoll:9181", "tcp:127.0.0.1:%d" % self.control)
        text = re.sub(r"^  (plimsoll|app):\n", r"\g<0>    network_mode: host\n", text, flags=re.M)
        settings = (ROOT / "docker" / "plimsoll.toml").read_text()
        settings = settings.replace("0.0.0.0:9181", "127.0.0.1:%d" % self.control).replace("0.0.0.0:8080", "127.0.0.1:%d" % self.port)
        settings = settings.replace("127.0.0.1:9180", "unix:/run/plimsoll/admin.sock")
        (self.directory / "plimsoll.toml").write_text(settings)
        text = text.replace("    volumes:\n", "    volumes:\n      - ./plimsoll.toml:/etc/plimsoll/plimsoll.toml:ro\n", 1)
        text = text.replace("    read_only: true\n", "    healthcheck:\n      test: [CMD, plimsoll, status, --json, --admin, \"unix:/run/plimsoll/admin.sock\"]\n"
                            "      interval: 2s\n      timeout: 3s\n    read_only: true\n", 1)
        (self.directory / "compose.yaml").write_text(text)
        (self.directory / ".env").write_text("PLIMSOLL_TOKEN=%s\n" % os.urandom(16).hex())

    def compose(self, *arguments, check=True, **more):
        return subprocess.run(["docker-compose", "-f", "compose.yaml", *arguments], cwd=self.directory, env=self.engine.environment,
                              check=check, text=True, **more)

    def plimsoll(self, *arguments):
        """One of Plimsoll's commands, run in its container as an operator does."""
        done = self.compose("exec", "-T", "plimsoll", "plimsoll", *arguments, "--json", "--admin", "unix:/run/plimsoll/admin.sock",
                            check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def container(self, service):
        return json.loads(self.engine.said("inspect", "plimsoll-test_%s_1" % service))[0]


def drive(composition):
    say("waiting for the fleet")
    def serving():
        workers = (composition.plimsoll("workers") or {}).get("workers", [])
        return [worker for worker in workers if worker["state"] == "serving"]
    until(lambda: len(serving()) == 2, 60, "two workers of the other container serve", pause=0.5)
    worker = serving()[0]
    assert worker["address"].replace("tcp:", "").startswith("127.0.0.1:"), worker
    assert worker["memory"]["source"] == "agent", "read from another container's /proc? %r" % worker["memory"]
    share = worker["memory"]["limit_bytes"]
    assert share and abs(share - 128 * 2**20) < 16 * 2**20, "not its share of the container's 256 MiB: %r" % worker["memory"]
    say("serving; each worker at %d MiB of its %d MiB" % (worker["memory"]["anon_bytes"] >> 20, share >> 20))

    customers = Customers(("127.0.0.1", composition.port), connections=4, rate=250, orders=0.5).start()
    try:
        def recycled():
            known = (composition.plimsoll("incidents") or {}).get("incidents", [])
            return [incident for incident in known if incident["trigger"] == "soft_limit" and incident["state"] == "closed"]
        identity = until(recycled, 120, "a worker is recycled on its soft limit", pause=1.0)[0]["id"]
    finally:
        customers.stop()
    incident = composition.plimsoll("incidents", identity)
    incident = incident.get("incident", incident)
    assert incident["recycle"]["outcome"] == "done", incident
    assert incident["capture"]["status"] == "done", incident
    assert incident["types"][0]["type"].startswith("shop.orders."), incident["types"][:3]
    assert not customers.failures, customers.failures[:5]
    say("%s: %d -> %d MiB, grew most: %s %+d; %d requests, 0 failed" % (
        identity, incident["recycle"]["memory_before"] >> 20, incident["recycle"]["memory_after"] >> 20,
        incident["types"][0]["type"], incident["types"][0]["delta"], customers.requests))

    until(lambda: composition.container("plimsoll")["State"]["Health"]["Status"] == "healthy", 30, "Docker calls it healthy", pause=1.0)
    for service in ("plimsoll", "app"):
        assert composition.container(service)["Config"]["User"] not in ("", "root", "0"), service
        assert composition.container(service)["RestartCount"] == 0, service
    found = composition.compose("exec", "-T", "plimsoll", "sh", "-c", "command -v gcc g++ cc make cmake || true", stdout=subprocess.PIPE).stdout
    assert not found.strip(), "a compiler in the last stage: " + found
    composition.compose("stop", "-t", "20", "plimsoll")
    assert composition.container("plimsoll")["State"]["ExitCode"] == 0, composition.container("plimsoll")["State"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--binary", default=str(ROOT / "build" / "release" / "plimsoll"), help="the binary to put into the image")
    parser.add_argument("--from-source", action="store_true", help="build it in the image, as a user would (many minutes)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        skip("starting an engine takes root")
    missing = [program for program in ("dockerd", "docker", "docker-compose", "debootstrap") if not shutil.which(program)]
    if missing:
        skip("%s not installed (apt-get install docker.io docker-compose debootstrap)" % ", ".join(missing))
    prebuilt = "" if options.from_source else "build/docker/plimsoll"
    if prebuilt:
        if not Path(options.binary).exists():
            sys.exit("%s is not built: run make" % options.binary)
        CACHE.mkdir(parents=True, exist_ok=True)
        shutil.copy(options.binary, ROOT / prebuilt)

    tar, engine = base_image(), Engine()
    began = time.monotonic()
    composition = None
    try:
        engine.wait()
        if engine.docker("image", "inspect", BASE, quiet=True).returncode != 0:
            with open(tar, "rb") as file:
                engine.docker("import", "-", BASE, stdin=file, check=True, quiet=True)
        composition = Composition(engine, prebuilt)
        say("building the images")
        with open(engine.place / "build.log", "w") as log:
            built = composition.compose("build", check=False, stdout=log, stderr=log)
        if built.returncode != 0:
            sys.exit("the build failed:\n" + "".join((engine.place / "build.log").read_text().splitlines(True)[-40:]))
        composition.compose("up", "-d", stderr=subprocess.DEVNULL)
        drive(composition)
        say("passed in %d s" % (time.monotonic() - began))
    except AssertionError:
        if composition:
            composition.compose("logs", "--tail=60", check=False)
        raise
    finally:
        if composition:
            composition.compose("down", "-v", "-t", "10", check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        engine.stop()


if __name__ == "__main__":
    main()
