"""One worker's first life behind the real Plimsoll: what was said of its memory, when, and which route and lines were blamed.

The limit is small (LIMIT), so that a life takes seconds to a minute or two: requests come until the leak is an incident that names
lines (or says that it has none) and the route that leaks most, or MOST requests were served.
"""
import collections
import os
import random
import socket
import tempfile
import threading
import time

LIMIT = 160 << 20
PIECE, LINES_WITHIN = 100, 45.0             # requests between two looks; seconds after the accusation
BEYOND = 4                                  # times the limit: nobody enforces it here, and at a thousand requests a second it is soon passed

Life = collections.namedtuple("Life", "suspected_at suspected_gone accused_at kind slope confidence routes lines no_line requests failed seconds")


def pool_of(app):
    from harness import fleets
    kind = "uvicorn_worker" if app.asgi else "sync"
    return fleets.fleet(kind, 1, "main:app", memory={"limit": "%dMiB" % (LIMIT >> 20), "interval": "100ms", "mode": "off"}, leak={"policy": "advise"})


class Client:
    """One connection that asks again on a new one where a worker has closed it."""

    def __init__(self, port):
        self.port, self.socket, self.failed = port, None, 0

    def ask(self, path):
        try:
            if self.socket is None:
                self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
            self.socket.sendall(("GET %s HTTP/1.1\r\nHost: bench\r\n\r\n" % path).encode())
            head, _, body = self.read(b"\r\n\r\n").partition(b"\r\n\r\n")
            fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
            if b"content-length" in fields:
                while len(body) < int(fields[b"content-length"]):
                    body += self.more()
            else:
                while not body.endswith(b"0\r\n\r\n"):
                    body += self.more()
            self.failed += not head.startswith(b"HTTP/1.1 200")
        except (OSError, ValueError):
            self.failed += 1
            self.socket = None

    def more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("closed")
        return piece

    def read(self, end):
        data = self.more()
        while end not in data:
            data += self.more()
        return data


def live(app, most, connections=3):
    from harness.proxy import Proxy
    with tempfile.TemporaryDirectory(prefix="lk") as folder:
        app.write(folder)
        proxy = Proxy(pool_of(app), {"PYTHONPATH": folder})
        try:
            proxy.start()
            proxy.wait_serving(1)
            return watch(app, proxy, most, connections)
        finally:
            if proxy.process and proxy.process.poll() is None:
                proxy.tell_to_stop()
                proxy.process.wait(60)
            proxy.clean_up()


def watch(app, proxy, most, connections):
    paths, began = app.paths(random.Random("load %d" % app.seed)), time.monotonic()
    clients = [Client(proxy.port) for _ in range(connections)]
    sent, suspected, gone, accused, accused_time, base, leak = 0, None, None, None, None, None, None
    incident = {}
    while sent < most or accused and not told(incident) and time.monotonic() - accused_time < LINES_WITHIN:
        some = [next(paths) for _ in range(PIECE)]
        threads = [threading.Thread(target=lambda client, mine: [client.ask(path) for path in mine], args=(client, some[index::connections]))
                   for index, client in enumerate(clients)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        sent += PIECE
        worker = proxy.admin.workers()[0]
        leak, used = worker["leak"], anonymous(worker["pid"])
        base = min(base or used, used)
        if leak and leak["class"] == "leaking" and suspected is None:
            suspected, gone = sent, (used - base) / (LIMIT - base)
        opened = [each for each in proxy.admin.incidents() if each["trigger"] == "leak"]
        if opened:
            accused, accused_time = accused or sent, accused_time or time.monotonic()
            incident = proxy.admin.incident(opened[0]["id"])
            if told(incident) and order_is_sure(incident):
                break
        if used > (BEYOND if accused else 0.95) * LIMIT:
            break
    leak = proxy.admin.workers()[0]["leak"] or {"class": "unknown", "bytes_per_request": 0.0, "confidence": 0.0}
    said = [(os.path.basename(line["file"]), line["line"]) for line in incident.get("lines") or []]
    routes = [(route["route"], route["bytes_per_request"], route["heaviest"]) for route in incident.get("routes") or []]
    return Life(suspected, gone, accused, leak["class"], leak["bytes_per_request"], leak["confidence"], routes, said,
                told(incident) and not said, sent, sum(client.failed for client in clients), time.monotonic() - began)


def order_is_sure(incident):
    routes = incident.get("routes")
    return bool(routes) and routes[0]["heaviest"] == "yes"


def anonymous(pid):
    from harness import processes
    return processes.anonymous_memory(pid)


def told(incident):
    """The trace of this incident is over: it names lines, or says that none explains the growth."""
    return bool(incident.get("lines")) or any("no line of Python code" in entry["event"] for entry in incident.get("timeline", []))
