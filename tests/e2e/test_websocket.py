"""WebSockets over the uwsgi protocol: real uWSGI, whose own handshake and frames pass through the tunnel."""
import base64
import hashlib
import os
import socket
import struct

import pytest
from harness.fleets import UWSGI, fleet
from harness.waiting import PATIENCE, until

pytestmark = pytest.mark.asan

BINARY, CLOSE = 2, 8


def frame(kind, payload):
    mask, size = os.urandom(4), len(payload)
    told = bytes([0x80 | size]) if size < 126 else struct.pack(">BH", 0x80 | 126, size) if size < 65536 else \
        struct.pack(">BQ", 0x80 | 127, size)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([0x80 | kind]) + told + mask + masked


class WebSocket:
    def __init__(self, address, early=b""):
        """`early`: sent in one piece with the head, by a client that does not wait for the 101."""
        key = base64.b64encode(os.urandom(16))
        self.socket = socket.create_connection(address, timeout=30 * PATIENCE)
        self.socket.sendall(b"GET /mirror HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n" + early)
        self.stream = self.socket.makefile("rb")
        self.status = int(self.stream.readline().split()[1])
        self.fields = {}
        for line in iter(self.stream.readline, b"\r\n"):
            name, _, value = line.decode().partition(":")
            self.fields[name.lower()] = value.strip()
        digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.accepted = self.fields.get("sec-websocket-accept") == base64.b64encode(digest).decode()

    def send(self, payload, kind=BINARY):
        self.socket.sendall(frame(kind, payload))

    def receive(self):
        kind, size = self.stream.read(2)
        if size > 125:
            size = int.from_bytes(self.stream.read(2 if size == 126 else 8), "big")
        return kind & 15, self.stream.read(size)

    def ended(self):
        rest = self.stream.read()                              # a frame that answers the close may come before
        return len(rest) < 128

    def close(self):
        self.stream.close()
        self.socket.close()


@pytest.mark.parametrize("kind", UWSGI)
def test_a_websocket_passes_through_a_uwsgi_worker(plimsoll, kind):
    proxy = plimsoll(fleet(kind, workers=2, app="mirror:wsgi")).start()
    proxy.wait_serving(2)
    in_flight = lambda: sum(worker["in_flight"] for worker in proxy.admin.workers())
    first = WebSocket(proxy.address)
    assert (first.status, first.accepted) == (101, True), first.fields
    second = WebSocket(proxy.address, early=frame(BINARY, b"at once"))
    assert (second.status, second.accepted) == (101, True), second.fields
    assert second.receive() == (BINARY, b"at once")
    until(lambda: in_flight() == 2, 10, "each holds the slot of its worker")
    for size in (0, 1, 125, 126, 65535, 65536, 300_000):
        payload = os.urandom(size)
        first.send(payload)
        assert first.receive() == (BINARY, payload), size
        second.send(b"beside it")
        assert second.receive() == (BINARY, b"beside it")
    first.send(struct.pack(">H", 1000), CLOSE)
    assert first.ended()
    first.close()
    second.close()                                             # without a word
    until(lambda: in_flight() == 0, 10, "both slots are free")
    answers = [proxy.get("/plain") for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
