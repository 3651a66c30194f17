"""An application without a server of its own, in a Python that takes nothing from its environment: started by `python -I`.

    plain.py SOCKET|PORT MODULE:NAME [UID]

One request at a time, and none is waited for with a time-out: an idle worker runs no Python at all. UID: what it runs as.
GET /names tells what the process has in its __main__, its environment and its sys.path.
"""
import importlib
import io
import json
import os
import socket
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


class Server(WSGIServer):
    request_queue_size = 64

    def server_bind(self):
        if self.address_family == socket.AF_UNIX:
            self.socket.bind(self.server_address)
            self.server_name, self.server_port = "localhost", 80
            self.setup_environ()
        else:
            super().server_bind()


class Handler(WSGIRequestHandler):
    def address_string(self):
        return "client"

    def setup(self):
        if not self.client_address:                             # of a unix socket
            self.client_address = ("client", 0)
        super().setup()

    def log_message(self, *arguments):
        pass


def with_body(environ):
    """wsgiref hands the connection itself on, which has no end."""
    environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    return environ


def names(start_response):
    body = json.dumps([sorted(globals()), sorted(os.environ), sys.path]).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def main(where, name, uid=None):
    Server.address_family = socket.AF_INET if where.isdigit() else socket.AF_UNIX
    server = Server(("127.0.0.1", int(where)) if where.isdigit() else where, Handler)
    module, _, attribute = name.partition(":")
    if uid:
        os.setgid(int(uid))
        os.setuid(int(uid))
    app = getattr(importlib.import_module(module), attribute)
    server.set_app(lambda environ, start: names(start) if environ["PATH_INFO"] == "/names" else app(with_body(environ), start))
    while True:
        server.handle_request()


main(*sys.argv[1:])
