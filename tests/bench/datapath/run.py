"""Runs the load generator against each proxy, interleaved in random order, and prints the table.

A single run is worthless on a shared machine: the column is the lower quartile of CPU time a request over all rounds, and only
ratios within one run mean anything. The proxy is pinned to core 0, clients and origin to core 1."""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SHAPES = {  # name: connections, what it is
    "s": (64, "128 B keepalive"),
    "unix": (64, "128 B, unix upstream"),
    "m": (64, "10 KB"),
    "ch": (64, "10 KB chunked"),
    "l": (16, "1 MB"),
    "post": (32, "POST 64 KB"),
    "k": (64, "new connection"),
}
PORTS = {"relay": 18080, "nginx": 18081, "haproxy": 18082, "plimsoll": 18083}
ORIGIN = 18090

NGINX = """
user root; worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.log; worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; keepalive_requests 1000000000;
  fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  upstream origin {{ server {origin}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} deferred backlog=1024; client_max_body_size 10m; client_body_buffer_size 128k;
    location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_max_temp_file_size 0; }}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  option splice-response
frontend f
  bind 127.0.0.1:{port} defer-accept
  default_backend b
backend b
  http-reuse always
  server o {origin}
"""

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
path = "/api"
pool = "app"
[[route]]
path = "/"
pool = "app"
[[pool]]
name = "app"
[pool.source]
kind = "static"
addresses = ["{origin}"]
slots = 512
"""


def pinned(core, command, **keywords):
    def place():
        os.setsid()
        os.sched_setaffinity(0, {core})
        try:  # autogroups make `nice` void across sessions: ask for the group's own
            with open("/proc/self/autogroup", "w") as file:
                file.write("-19")
        except OSError:
            pass

    return subprocess.Popen(command, preexec_fn=place, **keywords)


def children(pid):
    out = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True).stdout
    return [int(line) for line in out.split()]


class Bench:
    def __init__(self, options):
        self.options = options
        self.dir = tempfile.mkdtemp(prefix="plimsoll-bench-")
        self.started = []

    def start(self, peer, unix):
        origin = f"{self.dir}/origin.sock" if unix else f"127.0.0.1:{ORIGIN}"
        if unix and peer != "haproxy":
            origin = "unix:" + origin
        where = os.path.join(self.dir, peer + ("-unix" if unix else ""))
        os.makedirs(where, exist_ok=True)
        port = PORTS[peer] + (10 if unix else 0)
        text = {"nginx": NGINX, "haproxy": HAPROXY, "plimsoll": PLIMSOLL}.get(peer, "").format(dir=where, port=port, origin=origin)
        file = os.path.join(where, "conf")
        with open(file, "w") as out:
            out.write(text)
        command = {
            "relay": [os.path.join(self.options.tools, "relay"), str(port), str(ORIGIN)],
            "nginx": ["nginx", "-c", file, "-p", where],
            "haproxy": ["haproxy", "-f", file, "-db"],
            "plimsoll": [self.options.binary, "serve", "-c", file],
        }[peer]
        with open(os.path.join(where, "out"), "w") as out:
            process = pinned(0, command, stdout=out, stderr=out)
        self.started.append(process)
        return process, port

    def measure(self, peer, shape, processes):
        unix = shape == "unix"
        process, port = processes[(peer, unix)]
        pids = [process.pid] + children(process.pid)
        connections = SHAPES[shape][0]
        origin = f"{self.dir}/origin.sock" if unix else str(ORIGIN)
        load = pinned(
            1,
            [os.path.join(self.options.tools, "load"), "--proxy", str(port), "--origin", origin, "--shape", "s" if unix else shape,
             "--connections", str(connections), "--seconds", str(self.options.seconds), "--pids", ",".join(map(str, pids))],
            stdout=subprocess.PIPE, text=True)
        out, _ = load.communicate(timeout=60)
        return json.loads(out) if load.returncode == 0 else None

    def run(self):
        shapes = self.options.shapes.split(",")
        peers = ["relay", "plimsoll"] + [peer for peer in self.options.peers.split(",") if peer]
        missing = [peer for peer in peers if peer in ("nginx", "haproxy") and not shutil.which(peer)]
        for peer in missing:
            print(f"{peer} is not installed: left out", file=sys.stderr)
        peers = [peer for peer in peers if peer not in missing]
        processes = {}
        for unix in (False, True):
            if any((shape == "unix") == unix for shape in shapes):
                for peer in peers:
                    if not (unix and peer == "relay"):
                        processes[(peer, unix)] = self.start(peer, unix)
        time.sleep(1)
        figures = {}
        for _ in range(self.options.rounds):
            work = [(peer, shape) for shape in shapes for peer in peers if not (shape in ("unix", "k") and peer == "relay")]  # it knows TCP only, and cannot reuse connections
            random.shuffle(work)
            for peer, shape in work:
                figure = self.measure(peer, shape, processes)
                if figure is None or figure["errors"] or figure["not_200"] or not figure["responses"]:
                    print(f"{peer} {shape}: {figure}", file=sys.stderr)
                    continue
                figures.setdefault((peer, shape), []).append(figure)
        self.table(figures, peers, shapes)

    def table(self, figures, peers, shapes):
        def quartile(peer, shape):
            values = sorted(figure["cpu_us"] for figure in figures.get((peer, shape), []))
            return values[len(values) // 4] if values else None

        def ratio(a, b):
            return f"{a / b:>8.2f}" if a and b else f"{'-':>8}"

        print(f"{'work':24}" + "".join(f"{peer:>10}" for peer in peers) +
              "".join(f"{peer + '/ours':>15}" for peer in peers if peer not in ("relay", "plimsoll")) + f"{'ours/relay':>12}")
        for shape in shapes:
            cells = {peer: quartile(peer, shape) for peer in peers}
            line = f"{SHAPES[shape][1]:24}"
            line += "".join(f"{cells[peer]:>10.2f}" if cells[peer] else f"{'-':>10}" for peer in peers)
            line += "".join(f"{ratio(cells[peer], cells['plimsoll']):>15}" for peer in peers if peer not in ("relay", "plimsoll"))
            print(line + f"{ratio(cells['plimsoll'], cells['relay']):>12}")
        print(f"CPU microseconds a request, lower quartile of {self.options.rounds} rounds of {self.options.seconds} s; "
              f"congestion control {open('/proc/sys/net/ipv4/tcp_congestion_control').read().strip()}")

    def stop(self):
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--binary", default="build/release/plimsoll")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--peers", default="nginx,haproxy")
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    if not os.access(options.binary, os.X_OK):
        sys.exit(f"{options.binary} is not there: build it first (cmake --preset release && cmake --build --preset release)")
    bench = Bench(options)
    try:
        bench.run()
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
