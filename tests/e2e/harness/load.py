"""A closed loop of clients that believe nothing: N connections, each sends a request, reads the answer, checks every byte
of it, and only then sends the next.

    with Load(address, connections=32) as load:
        ...                                                    # disturb the fleet
        load.run_until(requests=12_000)
    verdict(load, ledger_directory).check()

Failed: no answer, or another status than 200. Cut: an answer that began and did not end. Torn: an answer that is not the one that
was asked for, byte by byte, or bytes that nobody asked for. Duplicated: executed more often than sent. The last is read from what the application wrote down.
"""
import asyncio
import collections
import random
import threading
import time
import zlib
from pathlib import Path

from payload import body_of

from .wire import Torn, connect

SMALL, MIDDLE, LARGE = (1, 2_000), (2_000, 32_000), (32_000, 300_000)
MIXED = (SMALL, MIDDLE, LARGE), (80, 17, 3)
ONE_SEGMENT = (SMALL,), (1,)                                   # answers of which a client has nothing or all


class Request:
    """One request of the mixture: half are POSTs with bodies, sizes over four decades, some slow, some in chunks."""

    def __init__(self, identity, draw, post_share, pauses, sizes, prefix):
        self.identity, self.sizes = identity, sizes
        self.method = "POST" if draw.random() < post_share else "GET"
        self.body = body_of(identity + "-up", self.a_size(draw)) if self.method == "POST" else b""
        self.size = self.a_size(draw)
        self.sent_chunked = bool(self.body) and draw.random() < 0.15
        self.path = "%s/%s?size=%d" % (prefix, identity, self.size)
        if draw.random() < 0.3:
            self.path += "&chunked=1"
        pause = draw.choice(pauses)
        if pause:
            self.path += "&pause=%s" % pause

    def a_size(self, draw):
        return draw.randint(*draw.choices(*self.sizes)[0])

    def bytes(self):
        head = "%s %s HTTP/1.1\r\nHost: load.test\r\n" % (self.method, self.path)
        if self.sent_chunked:
            head += "Transfer-Encoding: chunked\r\n\r\n"
            half = len(self.body) // 2 or 1
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (self.body[:half], self.body[half:]) if piece)
            return head.encode() + body + b"0\r\n\r\n"
        if self.body:
            head += "Content-Length: %d\r\n" % len(self.body)
        return head.encode() + b"\r\n" + self.body

    def wrong_with(self, response):
        """Nothing, or what is not as it was asked for."""
        if response.fields.get("x-id") != self.identity:
            return "answers request %s" % response.fields.get("x-id")
        if response.fields.get("x-got") != "%d-%d" % (len(self.body), zlib.crc32(self.body)):
            return "the application got another body: %s" % response.fields.get("x-got")
        if response.body != body_of(self.identity, self.size):
            return "another body than the application sent (%d of %d bytes)" % (len(response.body), self.size)
        return None


class Failure:
    def __init__(self, request, kind, reason, status=None):
        self.identity, self.method, self.kind, self.reason, self.status = request.identity, request.method, kind, reason, status
        self.at = time.time()

    def __str__(self):
        return "%s %s: %s, %s" % (self.method, self.identity, self.kind, self.reason)


class Load:
    def __init__(self, address, connections=32, post_share=0.5, pauses=(0, 0, 0, 0, 0, 0, 0, 0, 0.005, 0.03), timeout=30.0,
                 sizes=MIXED, prefix="/echo", seed=1, fresh=False):
        self.address, self.connections, self.post_share, self.pauses = address, connections, post_share, pauses
        self.timeout, self.sizes, self.prefix, self.seed = timeout, sizes, prefix, seed
        self.fresh = fresh                                     # a connection for each request
        self.answered = {}                                     # id -> method: a whole and right answer with status 200
        self.failures = []
        self.seconds = []                                      # of each answered request
        self.pids = collections.Counter()                      # who answered
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.all_clients()), name="load")
        self.broken = None                                     # a fault of this client's own

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Lets each client finish what it has in flight."""
        self.stopping.set()
        self.thread.join(self.timeout + 10)
        assert not self.thread.is_alive(), "the load client does not end"
        if self.broken:
            raise self.broken

    @property
    def requests(self):
        return len(self.answered) + len(self.failures)

    def run_until(self, requests, bound=600.0):
        deadline = time.monotonic() + bound
        while self.requests < requests:
            assert time.monotonic() < deadline, "%d of %d requests in %d s" % (self.requests, requests, bound)
            assert self.thread.is_alive(), "the load client ended: %r" % self.broken
            time.sleep(0.02)

    def run_for(self, seconds):
        time.sleep(seconds)

    async def all_clients(self):
        try:
            await asyncio.gather(*(self.client(number) for number in range(self.connections)))
        except BaseException as fault:
            self.broken = fault
            raise

    async def client(self, number):
        draw = random.Random(self.seed * 1000 + number)
        wire, count = None, 0
        while not self.stopping.is_set():
            request = Request("%d-%d-%d" % (self.seed, number, count), draw, self.post_share, self.pauses, self.sizes, self.prefix)
            count += 1
            began = time.monotonic()
            try:
                if wire is None:
                    wire = await connect(self.address)
                response = await asyncio.wait_for(self.exchange(wire, request), self.timeout)
                failure = self.judge(wire, request, response)
            except asyncio.TimeoutError:
                failure = Failure(request, "failed", "no answer in %d s" % self.timeout)
            except Torn as reason:
                failure = Failure(request, self.kind_of(wire, str(reason)), str(reason))
            except OSError as reason:
                failure = Failure(request, "failed", "connect: %s" % reason)
            if failure:
                self.failures.append(failure)
                await asyncio.sleep(0.01)                      # a dead listener must not become a busy loop
            else:
                self.answered[request.identity] = request.method
                self.seconds.append(time.monotonic() - began)
                self.pids[response.fields.get("x-pid")] += 1
            if wire and (failure or self.fresh or response.closes()):
                wire.transport.abort()
                wire = None
        if wire:
            wire.transport.abort()

    @staticmethod
    def kind_of(wire, reason):
        if not wire.ended or wire.ended not in reason:
            return "torn"                                      # it broke HTTP while the connection was there
        return "cut" if wire.buffer or "reading the head" not in reason else "failed"

    async def exchange(self, wire, request):
        wire.transport.write(request.bytes())
        return await wire.response(request.method)

    def judge(self, wire, request, response):
        if response.status != 200:
            said = response.body[:120].decode("latin-1").strip()
            return Failure(request, "failed", "%d %s" % (response.status, said), response.status)
        wrong = request.wrong_with(response)
        if wrong is None and wire.buffer:
            wrong = "%d bytes that nobody asked for: %r" % (len(wire.buffer), bytes(wire.buffer[:60]))
        return Failure(request, "torn", wrong, 200) if wrong else None

    def percentile(self, share):
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Verdict:
    """What the clients saw against what the application wrote down."""

    def __init__(self, load, executed):
        self.requests = load.requests
        self.failures = load.failures
        self.failed = [failure for failure in load.failures if failure.kind == "failed"]
        self.cut = [failure for failure in load.failures if failure.kind == "cut"]
        self.torn = [failure for failure in load.failures if failure.kind == "torn"]
        self.duplicated = sorted(identity for identity, times in executed.items() if times > 1)
        self.unexecuted = sorted(identity for identity in load.answered if identity not in executed)
        self.posts_duplicated = [identity for identity in self.duplicated
                                 if load.answered.get(identity) == "POST" or
                                 any(failure.identity == identity and failure.method == "POST" for failure in load.failures)]

    def __str__(self):
        text = "%d requests: %d failed, %d cut, %d torn, %d duplicated, %d answered but never executed" % (
            self.requests, len(self.failed), len(self.cut), len(self.torn), len(self.duplicated), len(self.unexecuted))
        reasons = collections.Counter("%s: %s" % (failure.kind, failure.reason) for failure in self.failures)
        for reason, times in reasons.most_common(8):
            text += "\n    %d x %s" % (times, reason)
        if self.duplicated:
            text += "\n    duplicated: " + " ".join(self.duplicated[:5])
        return text

    def check(self):
        assert not (self.failures or self.duplicated or self.unexecuted), str(self)


def executed_in(directory):
    counted = collections.Counter()
    for path in Path(directory).glob("executed.*"):
        counted.update(path.read_text().split())
    return counted


def verdict(load, ledger_directory):
    return Verdict(load, executed_in(ledger_directory))
