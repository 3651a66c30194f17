"""What the data path costs, next to others doing the same work. Prints tables; never fails by a figure.

A single run is worthless on a shared machine: each figure is the lower quartile over short rounds in random order, and only ratios
within one run mean anything. The proxy is pinned to core 0, clients and origin to core 1."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

from peers import PEERS, is_there, place_on, start

WORKS = {  # name: connections, shape of the load, what it is
    "s": (64, "s", "128 B keepalive"),
    "unix": (64, "s", "128 B, unix upstream"),
    "m": (64, "m", "10 KB"),
    "ch": (64, "ch", "10 KB chunked"),
    "l": (16, "l", "1 MB"),
    "post": (32, "post", "POST 64 KB"),
    "k": (64, "k", "new connection"),
    "log": (64, "s", "128 B, access log on"),
}
ORIGIN = 18090
FIRST_PORT = 18100  # of as many as there are proxies


def memory_of(pid):
    """Resident bytes, and open descriptors."""
    with open(f"/proc/{pid}/statm") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{pid}/fd"))


def lower_quartile(values):
    values = sorted(values)
    return values[len(values) // 4] if values else None


class Bench:
    def __init__(self, options):
        self.options = options
        self.dir = tempfile.mkdtemp(prefix="plimsoll-bench-")
        self.running = {}  # (peer, work kind): process, port

    def peers(self, work):
        wanted = ["relay", "plimsoll"] + [name for name in PEERS if name.split("-")[0] in self.options.peers]
        if work == "log":
            wanted = [name for name in PEERS if "-logging" in name and name.split("-")[0] in {"plimsoll", *self.options.peers}]
        return [name for name in wanted if (PEERS[name].only is None or work in PEERS[name].only) and is_there(name, self.options)]

    def proxy(self, name, unix=False, threads=1, core=0):
        key = (name, unix, threads)
        if key not in self.running:
            port = FIRST_PORT + len(self.running)
            origin = os.path.join(self.dir, "origin.sock") if unix else ORIGIN
            self.running[key] = start(name, self.options, self.dir, port, origin, threads, core), port
            time.sleep(1)
            self.load(*self.running[key], unix, shape="s", connections=1, seconds=0.05).communicate(timeout=60)  # it finds its worker
        return self.running[key]

    def load(self, process, port, unix=False, core=1, first=True, **options):
        out = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True).stdout
        pids = [str(process.pid)] + out.split()
        command = [os.path.join(self.options.tools, "load"), "--proxy", str(port), "--pids", ",".join(pids),
                   "--origin", os.path.join(self.dir, "origin.sock") if unix else str(ORIGIN)]
        for key, value in options.items():
            command += ["--" + key, str(value)]
        return subprocess.Popen(command, preexec_fn=place_on(core, first), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self, name, work, seconds=None, **more):
        connections, shape, _ = WORKS[work]
        process, port = self.proxy(name, work == "unix")
        load = self.load(process, port, work == "unix", shape=shape, connections=connections, seconds=seconds or self.options.seconds, **more)
        out, _ = load.communicate(timeout=120)
        figure = json.loads(out) if load.returncode == 0 else None
        if not figure or figure["errors"] or figure["not_200"] or not figure["responses"]:
            print(f"{name}, {WORKS[work][2]}: left out a round: {figure}", file=sys.stderr)
            return None
        return figure

    def rounds(self, works, **more):
        """(peer, work): figures, interleaved in random order."""
        figures = {}
        todo = [(name, work) for work in works for name in self.peers(work)]
        for name, work in todo:
            self.proxy(name, work == "unix")
        for _ in range(self.options.rounds):
            random.shuffle(todo)
            for name, work in todo:
                figure = self.measure(name, work, **more)
                if figure:
                    figures.setdefault((name, work), []).append(figure)
        return figures

    # CPU time a request, saturated.
    def ratios(self):
        figures = self.rounds(self.options.works)
        print(f"CPU microseconds a request, lower quartile of {self.options.rounds} rounds of {self.options.seconds} s; "
              f"congestion control {open('/proc/sys/net/ipv4/tcp_congestion_control').read().strip()}")
        for work in self.options.works:
            cost = {name: lower_quartile([figure["cpu_us"] for figure in figures.get((name, work), [])]) for name in self.peers(work)}
            ours = cost.get("plimsoll") or cost.get("plimsoll-logging")
            if not ours:
                continue
            parts = [f"{WORKS[work][2]:22} ours {ours:7.2f}"]
            for name, other in cost.items():
                if other and name == "relay":
                    parts.append(f"ours/relay {ours / other:5.2f}")
                elif other and not name.startswith("plimsoll"):
                    parts.append(f"{name}/ours {other / ours:5.2f}")
            print("  ".join(parts))

    # Waiting time where nobody is saturated.
    def latency(self):
        figures = self.rounds(["s"], rate=self.options.rate, seconds=1.0)
        print(f"microseconds at {self.options.rate} requests a second, lower quartile of {self.options.rounds} rounds of 1 s")
        for name in self.peers("s"):
            some = figures.get((name, "s"), [])
            if some:
                print(f"{name:12} p50 {lower_quartile([each['p50_us'] for each in some]):8.1f}"
                      f"  p99 {lower_quartile([each['p99_us'] for each in some]):8.1f}")

    # Memory: at rest, and of clients that are connected and silent.
    def idle(self):
        print(f"resident memory, and of each of {self.options.idle} idle connections that have had one answer")
        for name in self.peers("s"):
            if name == "relay":
                continue
            process, port = start(name, self.options, self.dir, FIRST_PORT + 90, ORIGIN), FIRST_PORT + 90
            time.sleep(1.5)
            workers = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True).stdout.split()
            served = max([process.pid] + [int(pid) for pid in workers], key=lambda pid: memory_of(pid)[0])
            base, _ = memory_of(served)
            load = self.load(process, port, shape="s", connections=64, seconds=0.3)  # everything touched once
            load.communicate(timeout=60)
            before, _ = memory_of(served)
            load = self.load(process, port, shape="s", connections=self.options.idle, hold="true")
            held = json.loads(load.stdout.readline() or "{}")  # printed once all of them were served
            after, descriptors = memory_of(served)
            load.stdin.close()
            load.wait(60)
            self.end(process)
            if descriptors < self.options.idle:
                print(f"{name:12} base {base / 1e6:6.1f} MB  (held only {descriptors} descriptors: {held})")
                continue
            print(f"{name:12} base {base / 1e6:6.1f} MB  an idle connection {(after - before) / self.options.idle:7.0f} B")

    # One thread against two. With two cores the clients need one of them, so throughput cannot double: what can be seen is
    # whether a request costs more when two threads serve.
    def threads(self):
        print("two threads against one, on the cores that the clients use too")
        cost, pace = {1: [], 2: []}, {1: [], 2: []}
        for _ in range(self.options.rounds):
            for threads in (1, 2):
                process, port = self.proxy("plimsoll", threads=threads, core=None)
                load = self.load(process, port, core=None, shape="s", connections=128, seconds=self.options.seconds)
                figure = json.loads(load.communicate(timeout=60)[0])
                cost[threads].append(figure["cpu_us"])
                pace[threads].append(figure["responses"] / figure["seconds"])
        one, two = lower_quartile(cost[1]), lower_quartile(cost[2])
        print(f"CPU microseconds a request: {one:.2f} with one, {two:.2f} with two: two unhindered cores would serve {2 * one / two:.2f} times as much")
        print(f"requests a second, best round: {max(pace[1]):.0f} with one, {max(pace[2]):.0f} with two, the clients taking the rest of both cores")

    # Millions of requests of every shape: what grows?
    def soak(self):
        port = FIRST_PORT + 91
        process = start("plimsoll", self.options, self.dir, port, ORIGIN, first=False)
        time.sleep(1)
        step = self.options.soak // 10
        print(f"{self.options.soak} requests in mixed shapes")
        for turn in range(11):  # the first warms up
            load = self.load(process, port, first=False, shape="mixed", connections=64, seconds=3600, requests=step)
            figure = json.loads(load.communicate(timeout=3600)[0])
            time.sleep(3)  # what rests too long is closed
            resident, descriptors = memory_of(process.pid)
            print(f"{turn * step:9}  resident {resident / 1e6:7.2f} MB  descriptors {descriptors}  errors {figure['errors']}  "
                  f"not 200 {figure['not_200']}", flush=True)
        self.end(process)

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self):
        for process, _ in self.running.values():
            self.end(process)
        subprocess.run(["rm", "-rf", self.dir])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", default=["ratios"], help="ratios (default), latency, idle, threads, soak, or all but the soak: all")
    parser.add_argument("--tools", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--binary", default="build/release/plimsoll")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--works", default=",".join(WORKS), help=", ".join(f"{name} ({what})" for name, (_, _, what) in WORKS.items()))
    parser.add_argument("--peers", default="nginx,haproxy", help="of nginx, haproxy, envoy, traefik, caddy")
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--idle", type=int, default=9_000)
    parser.add_argument("--soak", type=int, default=5_000_000)
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    options.works = [work for work in options.works.split(",") if work in WORKS]
    options.peers = set(options.peers.split(","))
    if not os.access(options.binary, os.X_OK):
        sys.exit(f"{options.binary} is not there: build it first (cmake --preset release && cmake --build --preset release)")
    for name in sorted(options.peers):
        if name in PEERS and not is_there(name, options):
            print(f"{name} is not installed: left out", file=sys.stderr)
    measures = ["ratios", "latency", "idle", "threads"] if "all" in options.measures else options.measures
    unknown = [name for name in measures if name not in ("ratios", "latency", "idle", "threads", "soak")]
    if unknown:
        sys.exit(f"{unknown[0]}: no such measure; there are ratios, latency, idle, threads, soak and all")
    bench = Bench(options)
    try:
        for name in measures:
            getattr(bench, name)()
            print(flush=True)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
