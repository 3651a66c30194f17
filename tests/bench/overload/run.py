"""What a proxy makes of 1, 2, 4 and 10 times what its workers can do, next to others with the same workers.

Workers: gunicorn sync, one process each on a port of its own (so all proxies have the same slots); without a proxy one gunicorn
with as many processes. Clients: load.cpp, an open loop. Capacity is what the hand-tuned HAProxy gets out of the workers
at twice their nominal rate, measured anew in each round, because other work on the machine moves it."""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))

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
path = "/critical"
pool = "app"
priority = "critical"
[[route]]
path = "/sheddable"
pool = "app"
priority = "sheddable"
[[route]]
path = "/"
pool = "app"
[[pool]]
name = "app"
[pool.source]
kind = "static"
addresses = [{quoted}]
slots = 1
"""

NGINX = """
user root; worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.log crit; worker_rlimit_nofile 19000;
events {{ worker_connections 16384; }}
http {{
  access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u;
  scgi_temp_path {dir}/s; limit_conn_zone $server_name zone=all:1m; keepalive_requests 1000000000;
  upstream app {{ least_conn; {nginx_servers} }}
  server {{
    listen 127.0.0.1:{port} backlog=4096; server_name all; limit_conn all {bound}; limit_conn_status 503; limit_conn_log_level info;
    location / {{ proxy_pass http://app; }}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 9000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  timeout queue 5s
frontend f
  bind 127.0.0.1:{port} backlog 4096
  {classes}
  default_backend app
backend app
  balance leastconn
  {haproxy_servers}
"""
CLASSES = """acl critical path_beg /critical
  http-request set-priority-class int(-100) if critical
  http-request set-priority-class int(100) if {{ path_beg /sheddable }}
  http-request return status 503 if {{ queue(app) ge 8 }} !critical"""

ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: app}}}}]}}]}}
          http_filters:
          - name: envoy.filters.http.adaptive_concurrency
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency
              gradient_controller_config:
                concurrency_limit_params: {{concurrency_update_interval: 0.1s}}
                min_rtt_calc_params: {{interval: 30s, request_count: 50, min_concurrency: {workers}}}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: app
    type: STATIC
    lb_policy: LEAST_REQUEST
    load_assignment: {{cluster_name: app, endpoints: [{{lb_endpoints: [{envoy_servers}]}}]}}
"""

# How it is started, its configuration, and what an operator told it (printed beside the table).
PEERS = {
    "none": (None, "", "one gunicorn with {workers} workers and its own backlog of 2048"),
    "nginx": (["nginx", "-c", "{file}", "-p", "{dir}"], NGINX, "least_conn; limit_conn {bound} (slots + 8), refused at once beyond"),
    "haproxy": (["haproxy", "-f", "{file}", "-db"], HAPROXY, "maxconn 1 a server, queue of 5 s"),
    "haproxy-tuned": (["haproxy", "-f", "{file}", "-db"], HAPROXY,
                      "maxconn 1 a server, priority classes, all but critical refused at once beyond 8 waiting"),
    "envoy": (["envoy", "-c", "{file}", "--concurrency", "1", "-l", "error", "--base-id", "{port}"], ENVOY,
              "adaptive concurrency: update 0.1 s, minRTT every 30 s of 50 requests, min_concurrency {workers}"),
    "plimsoll": (["{binary}", "serve", "-c", "{file}"], PLIMSOLL, "defaults; told the priorities of two routes and slots = 1"),
}
SUFFIX = {"envoy": "envoy.yaml"}  # Envoy knows formats by their names


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_served(port, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as client:
                client.settimeout(2)
                client.sendall(b"GET /normal HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if b" 200 " in client.recv(200):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"port {port} does not serve: see the directory given by --keep")


class Stage:
    """The workers, and one proxy at a time before them."""

    def __init__(self, options, home):
        self.options, self.home, self.started = options, home, []

    def start(self, command, log, **more):
        with open(os.path.join(self.home, log), "a") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **more)
        self.started.append(process)
        return process

    def end(self, process):
        self.started.remove(process)
        process.terminate()
        try:
            process.wait(60) # its own bounds come first, or what it has started would stay behind
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def gunicorn(self, workers):
        port = free_port()
        process = self.start(["gunicorn", "-w", str(workers), "-b", f"127.0.0.1:{port}", "--log-level", "warning", "worker:app"],
                             "gunicorn.log", cwd=HERE, env=dict(os.environ, SERVICE_MS=str(self.options.service), PYTHONDONTWRITEBYTECODE="1"))
        return process, port

    def proxy(self, name, ports):
        command, template, _ = PEERS[name]
        where = os.path.join(self.home, name)
        shutil.rmtree(where, ignore_errors=True)
        os.makedirs(where)
        values = {"dir": where, "port": free_port(), "binary": self.options.binary, "workers": len(ports), "bound": len(ports) + 8,
                  "file": os.path.join(where, SUFFIX.get(name, "conf")), "classes": CLASSES.format() if name == "haproxy-tuned" else "",
                  "quoted": ", ".join(f'"127.0.0.1:{each}"' for each in ports),
                  "nginx_servers": " ".join(f"server 127.0.0.1:{each};" for each in ports),
                  "haproxy_servers": "\n  ".join(f"server w{each} 127.0.0.1:{each} maxconn 1" for each in ports),
                  "envoy_servers": ", ".join(f"{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {each}}}}}}}}}"
                                             for each in ports)}
        with open(values["file"], "w") as out:
            out.write(template.format(**values))
        process = self.start([part.format(**values) for part in command], f"{name}.log")
        wait_until_served(values["port"])
        return process, values["port"]

    def load(self, port, steps, skip, seed=1):
        text = ",".join(f"{rate:.1f}:{seconds}" for rate, seconds in steps)
        done = subprocess.run([self.options.load, "--port", str(port), "--steps", text, "--skip", str(skip), "--mix", self.options.mix,
                               "--objective", str(self.options.objective / 1000), "--seed", str(seed)],
                              check=True, capture_output=True, text=True)
        return [json.loads(line) for line in done.stdout.splitlines()]


def served(result, *kinds):
    return sum(result[kind]["served"] for kind in kinds or ("critical", "normal", "sheddable"))


def share(result, kind):
    offered = result[kind]["offered"]
    return 100 * result[kind]["served"] / offered if offered else 100.0


def measure(stage, name, ports, steps, skip, seed):
    """The results of all steps. The proxy is started anew, so that it inherits no overload. Where the load client itself was late,
    the machine was busy with something else and nothing was measured: again, a few times, and the least late one is taken."""
    best, least = None, None
    for _ in range(stage.options.again + 1):
        process, port = stage.proxy(name, ports) if name != "none" else stage.gunicorn(len(ports))
        if name == "none":
            wait_until_served(port)
        results = stage.load(port, steps, skip, seed)
        stage.end(process)
        lag = max(result["lag_p99"] for result in results)
        if least is None or lag < least:
            best, least = results, lag
        if lag <= stage.options.lag:
            break
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", required=True, help="the built load.cpp")
    parser.add_argument("--binary", default="build/release/plimsoll")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--times", default="0.3,1,2,4,10", help="loads, as times of the capacity")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--service", type=float, default=5, help="milliseconds a request")
    parser.add_argument("--mix", default="5,65,30", help="shares of critical, normal, sheddable")
    parser.add_argument("--objective", type=float, default=500, help="milliseconds within which an answer is of use")
    parser.add_argument("--seconds", type=float, default=4, help="of each load; the first quarter is not counted")
    parser.add_argument("--rounds", type=int, default=1, help="medians over so many")
    parser.add_argument("--lag", type=float, default=2, help="milliseconds (p99) by which the load client may be late")
    parser.add_argument("--again", type=int, default=3, help="so many times a run in which it was later is repeated")
    parser.add_argument("--keep", help="directory for configurations and logs")
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    for program, why in (("gunicorn", "the workers"), ("haproxy", "by which the capacity is measured")):
        if not shutil.which(program):
            raise SystemExit(f"{program} ({why}) is not installed: apt-get install {program}")
    peers = [name for name in options.peers.split(",") if name == "none" or shutil.which(PEERS[name][0][0].format(binary=options.binary))]
    times = [float(each) for each in options.times.split(",")]
    home = options.keep or tempfile.mkdtemp(prefix="overload-")
    os.makedirs(home, exist_ok=True)
    stage = Stage(options, home)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # ends what was started, too
    rows, recoveries = {}, {}
    try:
        ports = [stage.gunicorn(1)[1] for _ in range(options.workers)]
        for port in ports:
            wait_until_served(port)
        nominal = options.workers * 1000 / options.service
        skip = options.seconds / 4
        for seed in range(1, options.rounds + 1):
            [told] = measure(stage, "haproxy-tuned", ports, [(2 * nominal, 3)], 1, seed)
            capacity = served(told) / told["seconds"]
            print(f"round {seed}: {options.workers} workers of {options.service:g} ms do {capacity:.0f}/s", file=sys.stderr)
            for load in times:  # peers by turns, so that what else the machine does hits all of them
                for name in peers:
                    [result] = measure(stage, name, ports, [(load * capacity, options.seconds)], skip, seed)
                    rows.setdefault((name, load), []).append((result, capacity))
            for name in peers:
                steps = [(0.5 * capacity, 1), (4 * capacity, 2), (0.5 * capacity, 6)]
                recoveries.setdefault(name, []).append(measure(stage, name, ports, steps, 0, seed)[2]["inside"])
    finally:
        for process in list(stage.started):
            stage.end(process)
        if not options.keep:
            shutil.rmtree(home)

    values = {"workers": options.workers, "bound": options.workers + 8}
    print(f"{options.workers} workers of {options.service:g} ms, mix {options.mix}, an answer counts within {options.objective:g} ms")
    for name in peers:
        print(f"  {name:14} {PEERS[name][2].format(**values)}")
    print(f"{'load':>5} {'':14} {'goodput':>8} {'critical':>9} {'normal':>7} {'sheddable':>9} {'lost':>6} {'p50 ms':>7} {'p99 ms':>7} "
          f"{'refused p50':>11} {'p99':>7} {'lag p99':>8}")
    for load in times:
        for name in peers:
            runs = rows[name, load]

            def median(of):
                return statistics.median(of(result, capacity) for result, capacity in runs)

            print(f"{load:5g} {name:14} {median(lambda r, c: served(r) / r['seconds'] / c):8.3f} "
                  + f"{median(lambda r, c: share(r, 'critical')):8.1f}% {median(lambda r, c: share(r, 'normal')):6.1f}% "
                  + f"{median(lambda r, c: share(r, 'sheddable')):8.1f}% "
                  + f"{median(lambda r, c: sum(r[kind]['lost'] for kind in ('critical', 'normal', 'sheddable'))):6.0f} "
                  + f"{median(lambda r, c: r['p50']):7.1f} {median(lambda r, c: r['p99']):7.1f} {median(lambda r, c: r['refusal_p50']):11.2f} "
                  + f"{median(lambda r, c: r['refusal_p99']):7.2f} {median(lambda r, c: r['lag_p99']):8.2f}")
    print("after 4x -> 0.5x inside the objective after: "
          + ", ".join(f"{name} {statistics.median(recoveries[name]):.1f} s" for name in peers))


if __name__ == "__main__":
    main()
