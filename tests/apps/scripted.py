#!/usr/bin/env python3
"""A worker that speaks HTTP by script and breaks its word at will. `scripted.py ADDRESS`, ADDRESS a unix path or HOST:PORT.

    /whole            an honest answer                       /short            promises 1000 bytes, sends 400, hangs up
    /long             promises 10 bytes, sends 40            /hang-up          reads the request, hangs up without a byte
    /half-head        hangs up in the middle of the head     /bad-chunk        a chunk's size that is no number
    /half-chunk       hangs up within a chunk                /no-end           chunks without the last one
    /garbage          not HTTP at all                        /two-lengths      two Content-Lengths that differ
    /smuggle          Content-Length 0, then a second response that nobody asked for
"""
import os
import socketserver
import sys

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HANGS_UP = {
    "/short": OK + b"Content-Length: 1000\r\n\r\n" + b"s" * 400,
    "/hang-up": b"",
    "/half-head": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "/bad-chunk": CHUNKED + b"5\r\nhello\r\nzz\r\nworld",
    "/half-chunk": CHUNKED + b"5\r\nhello\r\n20\r\nwor",
    "/no-end": CHUNKED + b"5\r\nhello\r\n",
    "/garbage": b"\x16\x03\x01\x02\x00 this is not HTTP\r\n\r\n",
}
STAYS = {
    "/long": OK + b"Content-Length: 10\r\n\r\n" + b"l" * 40,
    "/two-lengths": OK + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello!!",
    "/smuggle": OK + b"Content-Length: 0\r\n\r\n" + OK + b"Content-Length: 7\r\n\r\npoison!",
}


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            line = self.rfile.readline()
            if not line:
                return
            length = 0
            while (field := self.rfile.readline()) not in (b"\r\n", b""):
                if field.lower().startswith(b"content-length:"):
                    length = int(field.partition(b":")[2])
            self.rfile.read(length)
            path = line.split()[1].decode()
            if os.environ.get("SEEN"):
                with open(os.environ["SEEN"], "ab") as seen:
                    seen.write(line)
            if path in HANGS_UP:
                self.wfile.write(HANGS_UP[path])
                return
            body = path.encode()
            self.wfile.write(STAYS.get(path) or OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = daemon_threads = True


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    with UnixServer(sys.argv[1], Handler) if not host else Server((host, int(port)), Handler) as server:
        server.serve_forever()
