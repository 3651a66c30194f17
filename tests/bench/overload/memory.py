"""Four sync workers in one cgroup of 600 MB in which two heavy requests fit and three do not: who survives, and at what speed.

One request in ten needs 200 MB for 0.2 s, the others 1 MB for 25 ms. The clients are a closed loop: each asks again as soon as
it has its answer, so the heavy ones set the pace. After --learn seconds the counting begins. Kills are the kernel's own count
(oom_kill of the cgroup).

The peers called threads-* have one worker of four threads instead, whose address space is bounded (RLIMIT_AS) and not its
cgroup: again two heavy requests fit. Nobody is killed there: where a third is let in, its allocation fails, and it is answered
with 500. Those count as kills.

    python3 tests/bench/overload/memory.py [--peers none,nginx,haproxy,static-2,oracle,plimsoll,plimsoll-agent,threads-none,...]
                                           [--seconds 30] [--clients 12]

As root, where memory cgroups (v1 or v2) can be made; nginx, haproxy and gunicorn installed, Plimsoll built (make)."""

import argparse
import asyncio
import os
import random
import shutil
import statistics
import sys
import tempfile
import time

import run as overload

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 600_000_000
ADDRESS_SPACE = 700_000_000  # of a worker of four threads: itself, their stacks, and two heavy requests

PLIMSOLL = """
[proxy]
threads = 1
control = ["{dir}/control.sock"]
[admin]
listen = "unix:{dir}/admin.sock"
[store]
path = "{dir}/store"
[log]
level = "warn"
access = false
[[listener]]
address = "127.0.0.1:{port}"
[[route]]
path = "/"
pool = "app"
[[pool]]
name = "app"
[pool.source]
kind = "gunicorn"
command = ["{inside}", {gunicorn}]
directory = "{here}"
"""
BOUND = """
global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  timeout queue 5s
frontend f
  bind 127.0.0.1:{port}
  use_backend heavy if {{ path_beg /heavy }}
  default_backend light
backend light
  balance leastconn
  {light_servers}
backend heavy
  balance leastconn
  {heavy_servers}
"""
PEERS = {
    "none": "one gunicorn with 4 workers",
    "nginx": "least_conn; limit_conn 12 (slots + 8)",
    "haproxy": "maxconn 1 a server, queue of 5 s",
    "static-2": "HAProxy, two requests at a time whatever they are",
    "oracle": "HAProxy told which route is heavy: two of it at a time, on two of the workers",
    "plimsoll": "defaults, told nothing",
    "plimsoll-agent": "the same, but its workers live in a process namespace of their own: only the agent's readings are to be had",
    "threads-none": "one gunicorn worker of 4 threads under RLIMIT_AS",
    "threads-nginx": "before it, limit_conn 12",
    "threads-haproxy": "before it, maxconn 4, queue of 5 s",
    "threads-static-2": "HAProxy, two requests at a time whatever they are",
    "threads-oracle": "HAProxy told which route is heavy: two of it at a time",
    "threads-plimsoll": "defaults, told nothing",
    "threads-plimsoll-agent": "the same, its worker in a process namespace of its own",
}


class Cgroup:
    """A memory cgroup of its own, in v1's hierarchy or v2's."""

    def __init__(self, name):
        self.v1 = os.path.isdir("/sys/fs/cgroup/memory")
        self.path = os.path.join("/sys/fs/cgroup/memory" if self.v1 else "/sys/fs/cgroup", name)
        try:
            os.mkdir(self.path)
            self.write("memory.limit_in_bytes" if self.v1 else "memory.max", LIMIT)
        except OSError as error:
            raise SystemExit(f"no memory cgroup of its own can be made here ({error}): run it as root, outside of a container")

    def write(self, name, value):
        with open(os.path.join(self.path, name), "w") as out:
            out.write(str(value))

    def kills(self):
        with open(os.path.join(self.path, "memory.oom_control" if self.v1 else "memory.events")) as text:
            return sum(int(line.split()[1]) for line in text if line.startswith("oom_kill "))

    def remove(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.1)


class Stage(overload.Stage):
    def __init__(self, options, home, cgroup):
        super().__init__(options, home)
        self.inside = os.path.join(home, "inside")  # a command, inside the cgroup
        with open(self.inside, "w") as out:
            out.write(f"#!/bin/sh\necho $$ > {cgroup.path}/cgroup.procs\nexec \"$@\"\n")
        os.chmod(self.inside, 0o755)

    def command(self, workers, bind):
        return ["gunicorn", "-w", str(workers), "-b", bind, "--log-level", "critical", "--chdir", HERE, "memory_worker:app"]

    def threads(self, bind):
        return ["env", "MALLOC_ARENA_MAX=1", "prlimit", f"--as={ADDRESS_SPACE}", *self.command(1, bind), "--threads", "4"]

    def workers(self, command):
        port = overload.free_port()
        self.start([self.inside, *command(f"127.0.0.1:{port}")], "gunicorn.log")
        return port

    def peer(self, name):
        where = os.path.join(self.home, name)
        os.makedirs(where)
        values = {"dir": where, "port": overload.free_port(), "file": os.path.join(where, "conf"), "bound": 12, "classes": "",
                  "inside": self.inside, "here": HERE}
        threads, kind = name.startswith("threads-"), name.removeprefix("threads-")
        if kind.startswith("plimsoll"):
            hidden = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"] if kind == "plimsoll-agent" else []
            bind = f"unix:{where}/app.sock"
            values["gunicorn"] = ", ".join(f'"{part}"' for part in [*hidden, *(self.threads(bind) if threads else self.command(4, bind))])
            text, command = PLIMSOLL, [self.options.binary, "serve", "-c", values["file"]]
        elif kind == "none":
            return self.workers(self.threads if threads else lambda bind: self.command(4, bind))
        elif threads:
            port = self.workers(self.threads)
            overload.wait_until_served(port)
            values["haproxy_servers"] = f"server w 127.0.0.1:{port} maxconn 4"
            values["light_servers"] = values["haproxy_servers"]
            values["heavy_servers"] = f"server w 127.0.0.1:{port} maxconn 2"
            text = BOUND if kind == "oracle" else overload.HAPROXY
            command = ["haproxy", "-f", values["file"], "-db"]
        else:
            ports = [self.workers(lambda bind: self.command(1, bind)) for _ in range(4)]
            for port in ports:
                overload.wait_until_served(port)
            values["nginx_servers"] = " ".join(f"server 127.0.0.1:{each};" for each in ports)
            values["haproxy_servers"] = "\n  ".join(f"server w{each} 127.0.0.1:{each} maxconn 1" for each in ports[:2 if name == "static-2" else 4])
            values["light_servers"] = "\n  ".join(f"server w{each} 127.0.0.1:{each} maxconn 1" for each in ports[2:])
            values["heavy_servers"] = "\n  ".join(f"server w{each} 127.0.0.1:{each} maxconn 1" for each in ports[:2])
            text = {"nginx": overload.NGINX, "oracle": BOUND}.get(name, overload.HAPROXY)
            command = ["nginx", "-c", values["file"], "-p", where] if name == "nginx" else ["haproxy", "-f", values["file"], "-db"]
        with open(values["file"], "w") as out:
            out.write(text.format(**values))
        self.start(command, f"{name}.log")
        return values["port"]


async def ask(port, path):
    """The status; 0: no whole answer."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 10)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.read(), 20)
            return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0
        finally:
            writer.close()
    except (OSError, asyncio.TimeoutError, ValueError):
        return 0


async def client(port, end, draw, results):
    while (began := time.monotonic()) < end:
        path = "/heavy" if draw.random() < 0.1 else "/light"
        status = await ask(port, path)
        results.append((path, status, time.monotonic() - began))
        if status != 200:
            await asyncio.sleep(0.1)  # sooner nobody comes back who was sent away


async def load(port, clients, seconds, seed):
    results, end = [], time.monotonic() + seconds
    await asyncio.gather(*(client(port, end, random.Random(1000 * seed + each), results) for each in range(clients)))
    return results


def failures(results):
    return sum(status == 500 for _, status, _ in results)


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/release/plimsoll")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--learn", type=float, default=5, help="seconds before the counting begins; kills are told for both parts")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--keep", help="directory for configurations and logs")
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    print(f"4 sync workers in {LIMIT // 1_000_000} MB, {options.clients} clients, one request in ten heavy")
    print(f"{'':22} {'kills':>5} {'learning':>8} {'served/s':>8} {'light p50':>9} {'p99 ms':>7} {'heavy p50':>9} {'p99 ms':>7} {'refused':>7} {'lost':>5}")
    for name in options.peers.split(","):
        rows = []
        for seed in range(1, options.rounds + 1):
            home = options.keep or tempfile.mkdtemp(prefix="memory-")
            os.makedirs(home, exist_ok=True)
            cgroup = Cgroup(f"plimsoll-bench-{os.getpid()}-{name}-{seed}")
            stage = Stage(options, home, cgroup)
            try:
                port = stage.peer(name)
                overload.wait_until_served(port)
                learned = asyncio.run(load(port, options.clients, options.learn, 1000 + seed))
                learning, failed = cgroup.kills(), failures(learned)
                results = asyncio.run(load(port, options.clients, options.seconds, seed))
                kills = cgroup.kills() - learning + failures(results)
            finally:
                for process in list(stage.started)[::-1]:
                    stage.end(process)
                cgroup.remove()
                if not options.keep:
                    shutil.rmtree(home)
            served = [(path, took) for path, status, took in results if status == 200]
            light = [1000 * took for path, took in served if path == "/light"]
            heavy = [1000 * took for path, took in served if path == "/heavy"]
            refused = sum(status in (429, 503) for _, status, _ in results)
            rows.append((kills, learning + failed, len(served) / options.seconds, quantile(light, 0.5), quantile(light, 0.99),
                         quantile(heavy, 0.5), quantile(heavy, 0.99), refused, len(results) - len(served) - refused))
        middle = [statistics.median(column) for column in zip(*rows)]
        print("{:22} {:5.0f} {:8.0f} {:8.1f} {:9.0f} {:7.0f} {:9.0f} {:7.0f} {:7.0f} {:5.0f}".format(name, *middle))
        sys.stdout.flush()
    for name in options.peers.split(","):
        print(f"  {name:22} {PEERS[name]}")


if __name__ == "__main__":
    main()
