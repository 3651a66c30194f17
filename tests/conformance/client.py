"""Sends raw bytes and tells what came back, message by message."""
import dataclasses
import re
import socket
import time


@dataclasses.dataclass
class Answer:
    status: int
    fields: dict
    body: bytes = b""
    complete: bool = False


class Client:
    patience = 3.0                                   # seconds for an answer, or for the end

    def __init__(self, address, patience=None):
        self.patience = patience or Client.patience
        self.socket = socket.create_connection(address, timeout=self.patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.ended = b"", False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, raw):
        try:
            self.socket.sendall(raw)
        except OSError:
            pass                                     # refused before all of it was sent: the answer tells

    def finish(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def more(self, until):
        if self.ended:
            return False
        self.socket.settimeout(max(0.01, until - time.monotonic()))
        try:
            piece = self.socket.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            piece = b""
        self.ended = not piece
        self.buffer += piece
        return bool(piece)

    def answer(self, to_head=False):
        """The next answer that is not an interim one; None where none comes."""
        until = time.monotonic() + self.patience
        while True:
            while b"\r\n\r\n" not in self.buffer:
                if not self.more(until):
                    return None
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            match = re.match(rb"HTTP/1\.[01] ([0-9]{3})", head)
            if not match:
                return None
            lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
            answer = Answer(int(match[1]), {name.lower().decode("latin-1"): value.strip().decode("latin-1")
                                            for name, _, value in lines})
            if answer.status >= 200 or answer.status == 101:
                break
        if to_head or answer.status in (101, 204, 304):
            answer.complete = True
        elif "chunked" in answer.fields.get("transfer-encoding", ""):
            self.chunks(answer, until)
        elif "content-length" in answer.fields:
            size = int(answer.fields["content-length"])
            while len(self.buffer) < size and self.more(until):
                pass
            answer.body, self.buffer = self.buffer[:size], self.buffer[size:]
            answer.complete = len(answer.body) == size
        else:
            while self.more(until):
                pass
            answer.body, self.buffer, answer.complete = self.buffer, b"", self.ended
        return answer

    def chunks(self, answer, until):
        while True:
            while b"\r\n" not in self.buffer:
                if not self.more(until):
                    return
            line, rest = self.buffer.split(b"\r\n", 1)
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while not (rest.startswith(b"\r\n") or b"\r\n\r\n" in rest):
                    if not self.more(until):
                        return
                    rest = self.buffer.split(b"\r\n", 1)[1]
                trailers, _, self.buffer = rest.partition(b"\r\n") if rest.startswith(b"\r\n") else rest.partition(b"\r\n\r\n")
                for name, _, value in (line.partition(b":") for line in trailers.split(b"\r\n") if line):
                    answer.fields[name.lower().decode("latin-1")] = value.strip().decode("latin-1")
                answer.complete = True
                return
            while len(rest) < size + 2:
                if not self.more(until):
                    answer.body += rest
                    return
                rest = self.buffer.split(b"\r\n", 1)[1]
            answer.body += rest[:size]
            self.buffer = rest[size + 2:]

    def ends(self):
        """True: nothing more but the end comes."""
        until = time.monotonic() + self.patience
        while not self.buffer and self.more(until):
            pass
        return self.ended and not self.buffer
