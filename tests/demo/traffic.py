"""Customers of the shop: closed loops at a steady pace, 30 % POSTs, each answer checked against what it must be."""
import asyncio
import json
import random
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "apps")]

from harness.wire import Torn, connect  # noqa: E402


def price_of(article):                                         # as the shop prices; written again, so that it can be wrong alone
    return 100 + article * 37 % 9_900


class Customers:
    def __init__(self, address, connections=12, rate=400.0, orders=0.25):
        self.address, self.connections, self.pause, self.orders = address, connections, connections / rate, orders
        self.requests = self.posts = 0
        self.slowest = 0.0
        self.failures = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.all()), name="customers", daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        if self.thread.ident is not None:
            self.thread.join(40)

    async def all(self):
        await asyncio.gather(*(self.customer(random.Random(number)) for number in range(self.connections)))

    def next_request(self, draw):
        """Method, path, body, and what the answer must say."""
        kind = draw.random()
        if kind < 0.30:
            cart = draw.randrange(10_000)
            wanted = [{"article": draw.randrange(400), "count": draw.randint(1, 9)} for _ in range(draw.randint(1, 30))]
            total = sum(price_of(line["article"]) * line["count"] for line in wanted)
            return "POST", "/carts/%d" % cart, json.dumps(wanted).encode(), {"cart": cart, "total": total, "lines": len(wanted)}
        if kind < 0.30 + self.orders:
            number = draw.randrange(1_000_000)
            return "GET", "/orders/%d" % number, b"", {"order": number}
        if kind < 0.95:
            article = draw.randrange(400)
            return "GET", "/articles/%d" % article, b"", {"article": article, "price": price_of(article)}
        return "GET", "/", b"", {}

    async def customer(self, draw):
        wire = None
        while not self.stopping.is_set():
            method, path, body, promised = self.next_request(draw)
            began, wrong = time.monotonic(), None
            try:
                wire = wire or await connect(self.address)
                length = "Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body) if body else ""
                wire.transport.write(("%s %s HTTP/1.1\r\nHost: shop.test\r\n%s\r\n" % (method, path, length)).encode() + body)
                response = await asyncio.wait_for(wire.response(), 30)
                wrong = self.wrong_with(response, promised)
            except (Torn, OSError, ValueError) as reason:
                wrong = str(reason) or type(reason).__name__
            except asyncio.TimeoutError:
                wrong = "no answer in 30 s"
            took = time.monotonic() - began
            self.requests += 1
            self.posts += method == "POST"
            self.slowest = max(self.slowest, took)
            if wrong:
                self.failures.append("%s %s: %s" % (method, path, wrong))
            if wire and (wrong or response.closes()):
                wire.transport.abort()
                wire = None
            await asyncio.sleep(max(0.0, draw.uniform(0.5, 1.5) * self.pause - took))
        if wire:
            wire.transport.abort()

    @staticmethod
    def wrong_with(response, promised):
        if response.status != 200:
            return "%d %s" % (response.status, response.body[:100].decode("latin-1").strip())
        said = json.loads(response.body)
        return next(("%s is %r instead of %r" % (key, said.get(key), value) for key, value in promised.items()
                     if said.get(key) != value), None)
