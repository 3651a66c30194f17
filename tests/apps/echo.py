"""The application of the load tests, as WSGI and as ASGI: it writes down each request that it executes, checks the body
that it got and answers with a body of the size that was asked for.

    POST /echo/ID?size=N&pause=S&chunked=1    a body of N bytes that belongs to ID, after S seconds, in chunks
    GET /held?until=PATH                      ASGI alone: not before that file is there, or 20 s
"""
import asyncio
import os
import time
import zlib
from urllib.parse import parse_qs

import release  # noqa: F401
from payload import body_of, ledger

PIECE = 8192


class Order:
    """What a request asks for, out of its path and query."""

    def __init__(self, path, query):
        self.identity = path.rpartition("/")[2]
        asked = {key: values[0] for key, values in parse_qs(query).items()}
        self.size = int(asked.get("size", 0))
        self.pause = float(asked.get("pause", 0))
        self.chunked = "chunked" in asked
        self.until = asked.get("until")

    def answer(self, received):
        body = body_of(self.identity, self.size)
        fields = [("Content-Type", "application/octet-stream"), ("X-Id", self.identity), ("X-Pid", str(os.getpid())),
                  ("X-Got", "%d-%d" % (len(received), zlib.crc32(received)))]
        if not self.chunked:
            fields.append(("Content-Length", str(len(body))))
        return fields, [body[at:at + PIECE] for at in range(0, len(body), PIECE)] if self.chunked else [body]


def wsgi(environ, start_response):
    order = Order(environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
    ledger.write(order.identity)
    received = environ["wsgi.input"].read()
    if order.pause:
        time.sleep(order.pause)
    fields, pieces = order.answer(received)
    start_response("200 OK", fields)
    return iter(pieces) if order.chunked else pieces


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    order = Order(scope["path"], scope["query_string"].decode())
    ledger.write(order.identity)
    received = b""
    while True:
        message = await receive()
        received += message.get("body", b"")
        if not message.get("more_body"):
            break
    if order.pause:
        await asyncio.sleep(order.pause)
    deadline = time.monotonic() + 20
    while order.until and not os.path.exists(order.until) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    fields, pieces = order.answer(received)
    await send({"type": "http.response.start", "status": 200,
                "headers": [(name.lower().encode(), value.encode()) for name, value in fields]})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
