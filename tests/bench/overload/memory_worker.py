"""The application: nine requests in ten need a megabyte, the tenth 200 of them."""

import os
import time

LIGHT_MS = float(os.environ.get("LIGHT_MS", 25))
HEAVY_MS = float(os.environ.get("HEAVY_MS", 200))
BODY = b"x" * 128


def app(environ, start_response):
    heavy = environ["PATH_INFO"].startswith("/heavy")
    held = bytearray(200_000_000 if heavy else 1_000_000)
    for page in range(0, len(held), 4096):
        held[page] = 1
    time.sleep((HEAVY_MS if heavy else LIGHT_MS) / 1000)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))])
    return [BODY]
