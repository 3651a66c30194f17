"""HTTP/1.1 as a suspicious client reads it: one connection, one request at a time, and every departure from what was
promised is an error of its own. No library is used, since a library forgives."""
import asyncio
import re

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [^\r\n]*")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)")


class Torn(Exception):
    """The bytes on the wire are not one whole, well-formed response."""


class Response:
    def __init__(self, status, fields):
        self.status = status
        self.fields = fields                                   # name in lower case -> value
        self.body = b""

    def closes(self):
        return "close" in self.fields.get("connection", "").lower()


class Wire(asyncio.Protocol):
    def __init__(self):
        self.buffer = bytearray()
        self.ended = None                                      # why nothing more will come
        self.news = None                                       # a future that data or the end completes
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        self.wake()

    def eof_received(self):
        self.ended = self.ended or "end of stream"
        self.wake()

    def connection_lost(self, reason):
        self.ended = self.ended or ("connection lost: %s" % reason if reason else "closed")
        self.wake()

    def wake(self):
        if self.news and not self.news.done():
            self.news.set_result(None)

    async def more(self, doing):
        if self.ended:
            raise Torn("%s while %s" % (self.ended, doing))
        self.news = asyncio.get_running_loop().create_future()
        await self.news

    async def until(self, mark, doing):
        while True:
            at = self.buffer.find(mark)
            if at >= 0:
                taken = bytes(self.buffer[:at])
                del self.buffer[:at + len(mark)]
                return taken
            if len(self.buffer) > 65536:
                raise Torn("no end in 64 KiB while " + doing)
            await self.more(doing)

    async def exactly(self, size, doing):
        while len(self.buffer) < size:
            await self.more("%s, %d of %d bytes here" % (doing, len(self.buffer), size))
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    async def response(self, method="GET"):
        response = await self.head()
        while response.status == 100:
            response = await self.head()
        length, coding = response.fields.get("content-length"), response.fields.get("transfer-encoding")
        if length is not None and coding is not None:
            raise Torn("both Content-Length and Transfer-Encoding")
        if method == "HEAD" or response.status in (204, 304):
            return response
        if coding is not None:
            if coding.lower() != "chunked":
                raise Torn("Transfer-Encoding: " + coding)
            response.body = await self.chunks()
        elif length is not None:
            response.body = await self.exactly(int(length), "reading the body")
        else:
            raise Torn("no framing: the body would end with the connection")
        return response

    async def head(self):
        lines = (await self.until(b"\r\n\r\n", "reading the head")).split(b"\r\n")
        said = STATUS_LINE.fullmatch(lines[0])
        if not said:
            raise Torn("not a status line: %r" % lines[0][:80])
        fields = {}
        for line in lines[1:]:
            field = FIELD.fullmatch(line)
            if not field:
                raise Torn("not a field: %r" % line[:80])
            name = field[1].decode().lower()
            if name in fields and name in ("content-length", "transfer-encoding", "connection", "x-id"):
                raise Torn("%s twice" % name)
            fields[name] = field[2].decode("latin-1").strip()
        return Response(int(said[1]), fields)

    async def chunks(self):
        pieces = []
        while True:
            size = await self.until(b"\r\n", "reading a chunk's size")
            if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", size):
                raise Torn("not a chunk's size: %r" % size[:40])
            if int(size, 16) == 0:
                if await self.until(b"\r\n", "reading the end of the chunks"):
                    raise Torn("trailers that nobody sent")
                return b"".join(pieces)
            pieces.append(await self.exactly(int(size, 16), "reading a chunk"))
            if await self.exactly(2, "reading a chunk's end") != b"\r\n":
                raise Torn("a chunk longer than it said")


async def connect(address):
    """address: (host, port), or the path of a unix socket."""
    loop = asyncio.get_running_loop()
    if isinstance(address, str):
        _, wire = await loop.create_unix_connection(Wire, address)
    else:
        _, wire = await loop.create_connection(Wire, *address)
    return wire
