"""In a process of its own: drives a generated application without a server or a proxy, and asks the agent's trace for its lines.

    python tests/bench/leaks/direct.py SEED DIRECTORY [--total BYTES] ...      prints one line of JSON

    warm up --> grow (measured: low-water marks of anonymous memory a request) --> window --> lines that agree with the growth

What Plimsoll does in a fleet (a detector that accuses, then a window in one worker) is here in one process and a second or two,
so that hundreds of applications can be asked. run.py starts it.
"""
import argparse
import asyncio
import gc
import io
import json
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "..", "agent")]

import apps                                                    # noqa: E402
from plimsoll_agent import memory                              # noqa: E402
from plimsoll_agent.capture import lines, trace                # noqa: E402

BLOCKS = 24
LEAST_GROWTH = 3 << 20                      # bytes over the measured requests: below it no detector accuses
LONGEST = 16                                # windows


class Wsgi:
    def __init__(self, app):
        self.app = app

    def ask(self, path):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "bench", "SERVER_PORT": "80",
                   "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.url_scheme": "http",
                   "wsgi.version": (1, 0), "wsgi.multithread": False, "wsgi.multiprocess": True, "wsgi.run_once": False}
        status = []
        answer = self.app(environ, lambda said, fields, error=None: status.append(said))
        b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        assert status[0].startswith("200"), (path, status)


class Asgi:
    def __init__(self, app):
        self.app, self.loop = app, asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)

    def ask(self, path):
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(),
                 "root_path": "", "scheme": "http", "query_string": b"", "headers": [], "client": ("127.0.0.1", 1), "server": ("bench", 80)}
        status = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            if message["type"] == "http.response.start":
                status.append(message["status"])
        self.loop.run_until_complete(self.app(scope, receive, send))
        assert status == [200], (path, status)


def measured_growth(ask, requests):
    """Theil-Sen over the low-water marks of BLOCKS blocks, with a tenth to both sides for what a detector does not know."""
    marks = []
    for block in range(BLOCKS):
        lowest = None
        for number in range(requests // BLOCKS):
            ask()
            if number % 8 == 0:
                reading = memory.statm()["anon"]
                lowest = reading if lowest is None else min(lowest, reading)
        marks.append(lowest)
    width = requests // BLOCKS
    slopes = sorted((marks[j] - marks[i]) / ((j - i) * width) for i in range(BLOCKS) for j in range(i + 1, BLOCKS))
    middle = slopes[len(slopes) // 2]
    return middle, middle * 0.9, middle * 1.1


def window(ask, requests, pauses, growth):
    assert trace.start() is not None
    for _ in range(requests):
        ask()
    told = []

    def tell():                                                # as the agent does: in a thread of its own
        began = time.monotonic()
        taken = trace.stop()
        pauses.append(time.monotonic() - began)
        ranked, _ = trace.analyse(taken.traces, 50, taken.held, taken.limit)
        told.extend(lines.reconcile(ranked, requests, *growth))
    thread = threading.Thread(target=tell)
    thread.start()
    thread.join()
    return told


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seed", type=int)
    parser.add_argument("directory")
    parser.add_argument("--warm", type=int, default=3000)
    parser.add_argument("--grow", type=int, default=4000)
    parser.add_argument("--window", type=int, default=200)
    parser.add_argument("--drawn", default="{}", help="JSON: what apps.draw_app is told")
    arguments = parser.parse_args()
    app = apps.draw_app(arguments.seed, **json.loads(arguments.drawn))
    app.write(arguments.directory)
    sys.path.insert(0, arguments.directory)
    server = (Asgi if app.asgi else Wsgi)(__import__("main").app)
    paths = app.paths(random.Random(arguments.seed))

    def ask():
        server.ask(next(paths))
    for _ in range(arguments.warm):
        ask()
    slope, low, high = measured_growth(ask, arguments.grow)
    suspected = slope * arguments.grow >= LEAST_GROWTH
    before, requests, pauses, told = time.monotonic(), arguments.window, [], []
    while True:                                                # as Plimsoll: a longer window where one explains nothing
        told = window(ask, requests, pauses, (low, high) if suspected else (None, None))
        if any(line["claimed"] for line in told) or requests >= LONGEST * arguments.window:
            break
        requests *= 4
    told = [line for line in told if line["file"] != __file__]     # it stands for a server, which is an installed package
    shown = [{key: line[key] for key in ("file", "line", "bytes_per_request", "claimed", "count", "added", "replaced")} for line in told[:8]]
    print(json.dumps({"seed": arguments.seed, "slope": slope, "low": low, "high": high, "suspected": suspected, "window": requests,
                      "window_seconds": time.monotonic() - before, "pause": max(pauses), "gc": gc.isenabled(), "lines": shown}))


if __name__ == "__main__":
    main()
