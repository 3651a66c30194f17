"""The load client is the witness of every other test here, so it is tried against servers that misbehave on purpose."""
import asyncio
import threading
import zlib

import pytest
from harness.load import Load, Verdict, executed_in, verdict
from payload import body_of


class Server(threading.Thread):
    """Answers every request as `answer(identity, size, body)` says: bytes, or None to hang up."""

    def __init__(self, answer, ledger):
        super().__init__(daemon=True)
        self.answer, self.ledger, self.count = answer, ledger, 0
        self.started = threading.Event()
        self.start()
        self.started.wait()

    def run(self):
        asyncio.run(self.serve())

    async def serve(self):
        self.loop, self.stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self.connection, "127.0.0.1", 0)
        self.address = server.sockets[0].getsockname()
        self.started.set()
        await self.stopped.wait()
        server.close()

    def stop(self):
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.join()

    async def connection(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                identity, _, query = head.split()[1].rpartition("/")[2].partition("?")
                size = int(query.partition("size=")[2].partition("&")[0])
                body = b""
                if "Content-Length" in head:
                    body = await reader.readexactly(int(head.partition("Content-Length: ")[2].partition("\r\n")[0]))
                elif "chunked\r\n" in head:
                    while piece := int(await reader.readline(), 16):
                        body += await reader.readexactly(piece)
                        await reader.readline()
                    await reader.readline()
                self.count += 1
                with open(self.ledger / "executed.1", "a") as file:
                    file.write(identity + "\n")
                answer = self.answer(self, identity, size, body)
                if answer is None:
                    return writer.close()
                writer.write(answer)
                if b"content-length: 999999" in answer:
                    return writer.close()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()


def whole(identity, size, body, length=None):
    content = body_of(identity, size)
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nx-id: %s\r\nx-got: %d-%d\r\n\r\n%b" % (
        len(content) if length is None else length, identity.encode(), len(body), zlib.crc32(body), content)


def every(nth, spoil):
    def answer(server, identity, size, body):
        good = whole(identity, size, body)
        return spoil(server, good, identity, size, body) if server.count % nth == 0 else good
    return answer


def again(server, good, identity, size, body):
    with open(server.ledger / "executed.1", "a") as file:
        file.write(identity + "\n")
    return good


FAULTS = {
    "hangs_up": (lambda server, good, *_: None, "failed"),
    "answers_502": (lambda *_: b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\ndied", "failed"),
    "cuts_the_body_short": (lambda server, good, identity, size, body: whole(identity, size, body, 999_999), "cut"),
    "flips_a_byte": (lambda server, good, *_: good[:-1] + bytes([good[-1] ^ 1]), "torn"),
    "answers_another_request": (lambda server, good, identity, size, body: whole("9-9-9", size, body), "torn"),
    "loses_a_byte_of_the_upload": (lambda server, good, identity, size, body: whole(identity, size, body[:-1] or b"x"), "torn"),
    "appends_bytes": (lambda server, good, *_: good + b"HTTP/1.1", "torn"),
    "executes_twice": (again, "duplicated"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_load_client_sees_a_server_that(fault, tmp_path):
    spoil, kind = FAULTS[fault]
    server = Server(every(50, spoil), tmp_path)
    with Load(server.address, connections=4, pauses=(0,)) as load:
        load.run_until(requests=400, bound=60)
    server.stop()
    said = verdict(load, tmp_path)
    found = getattr(said, kind)
    assert found, "%s went unseen: %s" % (fault, said)
    assert len(found) < 40, str(said)
    with pytest.raises(AssertionError):
        said.check()


def test_the_load_client_is_content_with_a_server_that_keeps_its_word(tmp_path):
    server = Server(lambda server, identity, size, body: whole(identity, size, body), tmp_path)
    with Load(server.address, connections=8, pauses=(0,)) as load:
        load.run_until(requests=1500, bound=60)
    server.stop()
    verdict(load, tmp_path).check()
    posts = sum(method == "POST" for method in load.answered.values())
    assert 0.4 < posts / load.requests < 0.6


def test_an_answer_that_nobody_executed_is_seen(tmp_path):
    server = Server(lambda server, identity, size, body: whole(identity, size, body), tmp_path)
    with Load(server.address, connections=2, pauses=(0,)) as load:
        load.run_until(requests=50, bound=60)
    server.stop()
    executed = executed_in(tmp_path)
    executed.pop(next(iter(load.answered)))
    assert len(Verdict(load, executed).unexecuted) == 1
