#!/usr/bin/env python3
"""WebSocket frames as Autobahn's cases have them, good and bad, through the proxy and direct: the same bytes must come back.

    tests/websocket/run.py        makes its virtual environment (uvicorn, websockets) the first time; prints what differs
"""
import base64
import pathlib
import random
import socket
import struct
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness.proxy import Proxy, free_port  # noqa: E402

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(kind, payload=b"", last=True, reserved=0, masked=True):
    size = len(payload)
    head = bytes([(0x80 if last else 0) | reserved << 4 | kind])
    mask_bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 65536:
        head += bytes([mask_bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([mask_bit | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + payload
    mask = b"\x11\x22\x33\x44"
    whole = (mask * (size // 4 + 1))[:size]
    return head + mask + (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(size, "big")


def fragments(kind, payload, piece):
    pieces = [payload[at:at + piece] for at in range(0, len(payload), piece)] or [b""]
    return b"".join(frame(kind if number == 0 else CONTINUATION, part, number == len(pieces) - 1) for number, part in enumerate(pieces))


def close(code=1000, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


def cases():
    """(name, bytes to send, size of the pieces, frames to wait for before the close). Without frames to wait for the bytes
    themselves make the server close."""
    text = lambda size: ("é*" * size).encode()[:size - size % 3]
    for kind, name in ((TEXT, "text"), (BINARY, "binary")):                                        # Autobahn 1
        for size in (0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 300_000):
            payload = text(size) if kind == TEXT else bytes(random.Random(size).randbytes(size))
            yield "%s of %d" % (name, size), frame(kind, payload), 0, 1
            if size in (125, 65536):
                for chop in (1, 997):
                    yield "%s of %d in pieces of %d" % (name, size, chop), frame(kind, payload), chop, 1
    for size in (0, 1, 125):                                                                       # 2
        yield "ping of %d" % size, frame(PING, b"p" * size), 0, 1
    yield "ping beyond 125", frame(PING, b"p" * 126) + close(), 0
    yield "ten pings", b"".join(frame(PING, b"%d" % number) for number in range(10)), 0, 10
    yield "unasked pong", frame(PONG, b"unasked") + frame(TEXT, b"after"), 0, 1
    yield "ping byte by byte", frame(PING, b"p" * 100), 1, 1
    for bits in range(1, 8):                                                                       # 3
        yield "reserved bits %d" % bits, frame(TEXT, b"hello") + frame(TEXT, b"x", reserved=bits), 0
    for kind in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):                                               # 4
        yield "unknown kind %d" % kind, frame(TEXT, b"hello") + frame(kind, b"x"), 0
    for piece in (1, 4, 1000):                                                                     # 5
        yield "fragments of %d" % piece, fragments(TEXT, text(3000), piece), 0, 1
        yield "fragments of %d, chopped" % piece, fragments(BINARY, b"b" * 3000, piece), 777, 1
    yield "ping between fragments", frame(TEXT, b"a", last=False) + frame(PING, b"p") + frame(CONTINUATION, b"b"), 0, 2
    yield "fragmented ping", frame(PING, b"a", last=False) + frame(CONTINUATION, b"b"), 0
    yield "fragmented pong", frame(PONG, b"a", last=False) + frame(CONTINUATION, b"b"), 0
    yield "continuation of nothing", frame(CONTINUATION, b"a") + frame(TEXT, b"b"), 0
    yield "text inside a text", frame(TEXT, b"a", last=False) + frame(TEXT, b"b"), 0
    yield "empty fragments", frame(TEXT, b"", last=False) * 1 + frame(CONTINUATION, b"", last=False) + frame(CONTINUATION, b""), 0, 1
    for name, bad in (("latin 1", b"caf\xe9"), ("overlong", b"\xc0\xaf"), ("surrogate", b"\xed\xa0\x80"), ("beyond unicode", b"\xf4\x90\x80\x80"),   # 6
                      ("lone continuation", b"\x80"), ("cut character", b"\xe2\x82"), ("five bytes", b"\xf8\x88\x80\x80\x80"), ("ff", b"\xff")):
        yield "bad utf-8: " + name, frame(TEXT, b"good " + bad), 0
        yield "bad utf-8 in fragments: " + name, frame(TEXT, b"good", last=False) + frame(CONTINUATION, bad), 0
    yield "good utf-8 cut between fragments", frame(TEXT, b"\xe2\x82", last=False) + frame(CONTINUATION, b"\xac"), 0, 1
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):    # 7
        yield "close %d" % code, close(code, b"reason"), 0
    for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535):
        yield "bad close %d" % code, close(code), 0
    yield "close without code", frame(CLOSE), 0
    yield "close of one byte", frame(CLOSE, b"\x03"), 0
    yield "close with a long reason", close(1000, b"r" * 123), 0
    yield "close beyond 125", close(1000, b"r" * 124), 0
    yield "close with bad utf-8", close(1000, b"\xff"), 0
    yield "close twice", close() + close(), 0
    yield "text after close", close() + frame(TEXT, b"late"), 0
    yield "unmasked", frame(TEXT, b"bare", masked=False), 0
    yield "many messages", b"".join(frame(TEXT, b"message %d" % number) for number in range(2000)), 4096, 2000


def frames_in(got):
    count = at = 0
    while at + 2 <= len(got):
        size, head = got[at + 1] & 0x7f, 2
        if size > 125:
            head = 4 if size == 126 else 10
            size = int.from_bytes(got[at + 2:at + head], "big")
        at += head + size
        count += at <= len(got)
    return count


def talk(address, raw, piece=0, frames=0):
    """The status and every byte behind the head, to the end. The close waits for so many frames: a server may throw away what it
    has not sent when a close comes."""
    key = base64.b64encode(b"0123456789abcdef").decode()
    with socket.create_connection(address, timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(("GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n" % key).encode())
        got = b""
        while b"\r\n\r\n" not in got:
            more = connection.recv(65536)
            if not more:
                return got, b"", "ended"
            got += more
        head, got = got.split(b"\r\n\r\n", 1)
        end = "ended"
        connection.setblocking(False)
        out = memoryview(raw)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if out:
                try:
                    out = out[connection.send(out[:piece or len(out)]):]
                except BlockingIOError:
                    pass
                except OSError:
                    out = memoryview(b"")
            try:
                more = connection.recv(1 << 20)
                if not more:
                    break
                got += more
                if frames and frames_in(got) >= frames:
                    out, frames = memoryview(bytes(out) + close()), 0
            except BlockingIOError:
                if not out:
                    time.sleep(0.001)
            except OSError:
                break                                # a reset is an end: what came before it counts
        else:
            end = "hangs"
    return head.split(b"\r\n")[0], got, end


def main():
    interpreter = subprocess.run([sys.executable, HERE.parent / "e2e" / "venvs.py", "--no-agent", "websocket"],
                                 stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1]
    worker, proxy, different, total = free_port(), Proxy(), 0, 0
    try:
        proxy.beside([interpreter, "-m", "uvicorn", "--app-dir", HERE, "--port", str(worker), "--ws", "websockets",
                      "--ws-per-message-deflate", "false", "--log-level", "warning", "app:app"])
        proxy.configure({"pool": [{"name": "app", "source": {"kind": "static", "addresses": ["127.0.0.1:%d" % worker]}}]})
        proxy.start()
        proxy.wait_serving(1)
        for name, *how in cases():
            direct, through = talk(("127.0.0.1", worker), *how), talk(proxy.address, *how)
            total += 1
            if direct != through:
                different += 1
                print("%s: direct %.120r, through the proxy %.120r" % (name, direct, through))
        print("websocket: %d cases, %d differ" % (total, different))
        proxy.stop()
    finally:
        proxy.clean_up()
    sys.exit(1 if different or not total else 0)


main()
