"""Who is measured: how each proxy is configured and started. All of them on one thread, with the same options where they have them:
connections to the origin kept, requests and answers not written to disk, a new client taken only once it has said something."""

import os
import shutil
import subprocess

NGINX = """
user root; worker_processes {threads}; daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.log; worker_rlimit_nofile 19000;
events {{ worker_connections 16384; }}
http {{
  log_format line escape=json '{{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method","path":"$request_uri",'
    '"status":$status,"request_bytes":$content_length,"response_bytes":$body_bytes_sent,"seconds":$request_time,'
    '"first_byte_seconds":"$upstream_header_time","worker":"$upstream_addr","request_id":"$request_id"}}';
  access_log {access}; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; keepalive_requests 1000000000;
  fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; {tuning}
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
  {log}
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  {tuning}
frontend f
  bind 127.0.0.1:{port} defer-accept
  default_backend b
backend b
  http-reuse always
  server o {origin}
"""

PLIMSOLL = """
[proxy]
threads = {threads}
control = ["{dir}/control.sock"]
max_connections = 20000
[admin]
listen = "unix:{dir}/admin.sock"
[store]
path = "{dir}/store"
[log]
level = "warn"
{access}
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
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: origin}}}}]}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: origin
    type: STATIC
    load_assignment:
      cluster_name: origin
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {origin_port}}}}}}}}}]}}]
"""

TRAEFIK = """
http:
  routers: {{all: {{rule: "PathPrefix(`/`)", service: origin, entryPoints: [web]}}}}
  services: {{origin: {{loadBalancer: {{servers: [{{url: "http://{origin}"}}]}}}}}}
"""

CADDY = """
{{
  admin off
  auto_https off
  persist_config off
}}
http://:{port} {{
  bind 127.0.0.1
  reverse_proxy {origin}
}}
"""


class Peer:
    """`only`: the works that it is measured with; None: all. `written`: where its configuration goes."""

    def __init__(self, command, template="", only=None, needs=None, written="conf", unix="unix:", environment=None, **texts):
        self.command, self.template, self.only, self.needs, self.written = command, template, only, needs, written
        self.unix, self.environment, self.texts = unix, environment or {}, texts


GO = {"GOMAXPROCS": "1"}
NGINX_COMMAND = ["nginx", "-c", "{file}", "-p", "{dir}"]
HAPROXY_COMMAND = ["haproxy", "-f", "{file}", "-db"]
PLIMSOLL_COMMAND = ["{binary}", "serve", "-c", "{file}"]
COPYING = ("s", "m", "ch", "l", "post", "k")

PEERS = {
    "relay": Peer(["{tools}/relay", "{port}", "{origin_port}"], only=("s", "m", "ch", "l", "post")),  # knows TCP only, reuses nothing
    "plimsoll": Peer(PLIMSOLL_COMMAND, PLIMSOLL, needs="{binary}", access="access = false"),
    "nginx": Peer(NGINX_COMMAND, NGINX, needs="nginx", access="off", tuning=""),
    "nginx-tuned": Peer(NGINX_COMMAND, NGINX, only=("l",), needs="nginx", access="off",
                        tuning="proxy_buffers 8 64k; proxy_buffer_size 64k; proxy_busy_buffers_size 128k; proxy_request_buffering off;"),
    "haproxy": Peer(HAPROXY_COMMAND, HAPROXY, needs="haproxy", unix="unix@", log="", tuning=""),
    "haproxy-splice": Peer(HAPROXY_COMMAND, HAPROXY, only=("l",), needs="haproxy", unix="unix@", log="", tuning="option splice-response"),
    "envoy": Peer(["envoy", "-c", "{file}", "--concurrency", "1", "-l", "error", "--base-id", "{port}"], ENVOY, only=COPYING,
                  needs="envoy", written="envoy.yaml"),
    "traefik": Peer(["traefik", "--entrypoints.web.address=127.0.0.1:{port}", "--providers.file.filename={file}", "--log.level=ERROR",
                     "--global.checknewversion=false"], TRAEFIK, only=COPYING, needs="traefik", written="routes.yml", environment=GO),
    "caddy": Peer(["caddy", "run", "--config", "{file}", "--adapter", "caddyfile"], CADDY, only=COPYING, needs="caddy",
                  written="Caddyfile", environment=GO),
    # With their access logs on: a line of JSON a request, to a file.
    "plimsoll-logging": Peer(PLIMSOLL_COMMAND, PLIMSOLL, only=("log",), needs="{binary}",
                             access='access = true\nformat = "json"\nfile = "{dir}/access.log"'),
    "nginx-logging": Peer(NGINX_COMMAND, NGINX, only=("log",), needs="nginx", access="{dir}/access.log line", tuning=""),
    "nginx-logging-buffered": Peer(NGINX_COMMAND, NGINX, only=("log",), needs="nginx",
                                   access="{dir}/access.log line buffer=64k flush=1s", tuning=""),
}


def place_on(core, first=True):
    """What a measured process does before it starts: its own core (none: any), and first in line for it."""
    def place():
        os.setsid()
        if core is not None:
            os.sched_setaffinity(0, {core})
        if not first:
            return
        try:  # autogroups make `nice` void across sessions: ask for the group's own
            with open("/proc/self/autogroup", "w") as file:
                file.write("-19")
        except OSError:
            pass
    return place


def is_there(name, options):
    needs = PEERS[name].needs
    return not needs or shutil.which(needs.format(binary=options.binary)) is not None


def start(name, options, home, port, origin, threads=1, core=0, first=True):
    """Starts it in a directory of its own. `origin`: a port on loopback, or the path of a unix socket."""
    peer = PEERS[name]
    where = os.path.join(home, f"{name}-{port}")
    os.makedirs(where, exist_ok=True)
    values = {"dir": where, "port": port, "threads": threads, "binary": options.binary, "tools": options.tools,
              "origin": f"127.0.0.1:{origin}" if isinstance(origin, int) else peer.unix + origin,
              "origin_port": origin, "file": os.path.join(where, peer.written)}
    values.update({key: text.format(**values) for key, text in peer.texts.items()})
    with open(values["file"], "w") as out:
        out.write(peer.template.format(**values))
    environment = dict(os.environ, HOME=where, **peer.environment)
    with open(os.path.join(where, "out"), "w") as out:
        return subprocess.Popen([part.format(**values) for part in peer.command], preexec_fn=place_on(core, first), env=environment,
                                stdin=subprocess.DEVNULL, stdout=out, stderr=out)
