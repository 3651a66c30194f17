"""An application with four routes, one of which leaves 64 KiB behind each time it is asked."""
LEFT_BEHIND = 64 << 10
kept = []


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    made = [bytes(256) for _ in range(50)]                     # what every request needs for a moment
    if path.startswith("/orders/"):
        kept.append(bytearray(LEFT_BEHIND))
    body = ("%s %d\n" % (path, len(made))).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
