"""A worker that believes nothing: it keeps what it gets, and calls a fault whatever two readers could read in two ways."""
import re
import socket
import threading

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
START = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.([01])")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
CHUNK = re.compile(rb"[0-9a-fA-F]{1,15}")
FORBIDDEN = {b"content-length", b"transfer-encoding", b"host", b"connection", b"authorization", b"cookie"}


class Fault(Exception):
    pass


class Ended(Exception):
    pass


class Reader:
    def __init__(self, connection):
        self.connection, self.buffer = connection, b""

    def more(self):
        piece = self.connection.recv(65536)
        if not piece:
            raise Ended
        self.buffer += piece

    def line(self):
        while b"\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            raise Fault("a line ends without CR LF: %r" % line[:60])
        return line[:-1]

    def exactly(self, size):
        while len(self.buffer) < size:
            self.more()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def fields(self):
        fields = []
        while line := self.line():
            match = FIELD.fullmatch(line)
            if not match:
                raise Fault("a malformed field: %r" % line[:60])
            fields.append((match[1].lower(), match[2]))
        return fields

    def request(self):
        start = START.fullmatch(self.line())
        if not start:
            raise Fault("a malformed request line")
        fields = self.fields()
        of = lambda name: [value for key, value in fields if key == name]
        lengths, codings = of(b"content-length"), of(b"transfer-encoding")
        if len(of(b"host")) != 1:
            raise Fault("%d Host fields" % len(of(b"host")))
        if len(lengths) + len(codings) > 1 or (codings and codings[0].lower() != b"chunked"):
            raise Fault("ambiguous framing: %r" % (lengths + codings))
        if lengths and not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
            raise Fault("a malformed length: %r" % lengths[0])
        body, trailers = b"", []
        if lengths:
            body = self.exactly(int(lengths[0]))
        while codings:
            size = self.line()
            if not CHUNK.fullmatch(size):
                raise Fault("a malformed chunk size: %r" % size[:60])
            if int(size, 16) == 0:
                trailers = self.fields()
                if FORBIDDEN & {name for name, _ in trailers}:
                    raise Fault("a trailer that must stand in the head: %r" % trailers)
                break
            body += self.exactly(int(size, 16))
            if self.exactly(2) != b"\r\n":
                raise Fault("a chunk is longer than its size")
        return {"method": start[1].decode(), "target": start[2].decode(), "host": of(b"host")[0].decode("latin-1"),
                "body": body.decode("latin-1"), "trailers": trailers}


class Origin:
    """Answers 200 with what it saw in X-Saw. With a script, what asks for /scripted gets that, and then the end if `ends`."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.seen, self.faults, self.script, self.ends = [], [], None, False
        threading.Thread(target=self.accept, daemon=True).start()

    def take(self):
        """What came since the last time: requests, and faults."""
        with self.lock:
            seen, self.seen = self.seen, []
            faults, self.faults = self.faults, []
        return seen, faults

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        reader = Reader(connection)
        with connection:
            try:
                while True:
                    request = reader.request()
                    with self.lock:
                        self.seen.append(request)
                    if self.script is not None and request["target"].startswith("/scripted"):
                        connection.sendall(self.script)
                        if self.ends:
                            return
                    else:
                        saw = ("%(method)s %(target)s" % request)[:200]
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Saw: %s\r\n\r\n" % saw.encode())
            except Fault as fault:
                with self.lock:
                    self.faults.append(str(fault))
            except (Ended, OSError):
                pass
