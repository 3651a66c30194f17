"""Two routes that clients always ask together, one of which leaves memory behind; and a buffer that breathes, as noise."""
import random

LEFT_BEHIND = 8 << 10
kept = []
buffer = bytearray()


def wsgi(environ, start_response):
    global buffer
    path = environ["PATH_INFO"]
    if random.random() < 0.05:
        buffer = bytearray(b"x" * random.randrange(4 << 20))
    if path == "/basket":
        kept.append(bytearray(b"x" * LEFT_BEHIND))
    body = path.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
