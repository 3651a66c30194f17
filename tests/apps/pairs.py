"""Two routes that clients always ask together, one of which leaves memory behind; and a buffer that breathes, as noise.

The buffer is mapped, and no block of the heap: the hole that such a block leaves is filled by what leaks, so that the leak shows when the
next buffer comes, whoever is asked then."""
import mmap
import random

LEFT_BEHIND = 8 << 10
kept = []
buffer = mmap.mmap(-1, 4096)


def wsgi(environ, start_response):
    global buffer
    path = environ["PATH_INFO"]
    if random.random() < 0.05:
        buffer.close()
        size = random.randrange(4096, 4 << 20)
        buffer = mmap.mmap(-1, size)
        buffer.write(b"x" * size)
    if path == "/basket":
        kept.append(bytearray(b"x" * LEFT_BEHIND))
    body = path.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
