"""The proxies under test, each in front of one origin, with a second for what is incomplete."""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.proxy import Proxy, free_port  # noqa: E402

NGINX = """
user root; worker_processes 1; daemon off; pid {where}/pid; error_log {where}/log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_header_timeout 1s; client_body_timeout 1s; large_client_header_buffers 4 32k;
  client_body_temp_path {where}/b; proxy_temp_path {where}/p; fastcgi_temp_path {where}/f; uwsgi_temp_path {where}/u; scgi_temp_path {where}/s;
  upstream app {{ server 127.0.0.1:{origin}; keepalive 16; }}
  server {{ listen 127.0.0.1:{port}; location / {{
    proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
  }} }}
}}
"""
HAPROXY = """
global
  maxconn 1000
  tune.bufsize 40000
defaults
  mode http
  option http-buffer-request
  timeout connect 2s
  timeout client 5s
  timeout server 5s
  timeout http-request 1s
frontend in
  bind 127.0.0.1:{port}
  default_backend app
backend app
  server one 127.0.0.1:{origin}
"""


class Plimsoll:
    name = "plimsoll"

    def __init__(self, origin):
        self.proxy = Proxy({"listener": [{"address": "", "header_timeout": "1s", "body_timeout": "1s"}],
                            "pool": [{"name": "app", "source": {"kind": "static", "addresses": ["127.0.0.1:%d" % origin]}}]})
        self.proxy.config["listener"][0]["address"] = "127.0.0.1:%d" % self.proxy.port
        self.proxy.configure(self.proxy.config)
        self.proxy.start()
        self.proxy.wait_serving(1)
        self.address = self.proxy.address

    def stop(self):
        try:
            self.proxy.stop()
        finally:
            self.proxy.clean_up()


class Peer:
    def __init__(self, origin):
        self.where = tempfile.mkdtemp(prefix="plimsoll-conformance-")
        self.address = ("127.0.0.1", free_port())
        text = self.text.format(where=self.where, port=self.address[1], origin=origin)
        path = os.path.join(self.where, "configuration")
        pathlib.Path(path).write_text(text)
        self.process = subprocess.Popen([part.format(path=path, where=self.where) for part in self.command],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(self.address, timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise SystemExit("%s does not start" % self.name) from None
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.where, ignore_errors=True)


class Nginx(Peer):
    name, text, command = "nginx", NGINX, ["nginx", "-c", "{path}", "-p", "{where}"]


class Haproxy(Peer):
    name, text, command = "haproxy", HAPROXY, ["haproxy", "-f", "{path}", "-db"]


def peers_here():
    return [peer for peer in (Nginx, Haproxy) if shutil.which(peer.command[0])]
