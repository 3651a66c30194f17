"""Two routes that clients always ask together, one of which leaves memory behind; and a buffer that breathes, as noise.

`wsgi` maps the buffer. `holes` has it in the heap: the hole that such a block leaves there is filled by what leaks, so that resident
memory grows when the next buffer comes, whoever is asked then."""
import mmap
import random

LEFT_BEHIND = 8 << 10
kept = []
buffer = mmap.mmap(-1, 4096)


def breathe_mapped():
    global buffer
    buffer.close()
    size = random.randrange(4096, 4 << 20)
    buffer = mmap.mmap(-1, size)
    buffer.write(b"x" * size)


def breathe_in_the_heap():
    global buffer
    buffer = bytearray(b"x" * random.randrange(4096, 4 << 20))


def answer(breathe, environ, start_response):
    path = environ["PATH_INFO"]
    if random.random() < 0.05:
        breathe()
    if path == "/basket":
        kept.append(bytearray(b"x" * LEFT_BEHIND))
    body = path.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def wsgi(environ, start_response):
    return answer(breathe_mapped, environ, start_response)


def holes(environ, start_response):
    return answer(breathe_in_the_heap, environ, start_response)
