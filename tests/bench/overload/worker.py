"""The application: so many milliseconds a request, nearly all of them asleep, as if a database were asked."""

import os
import time

SECONDS = float(os.environ["SERVICE_MS"]) / 1000
BODY = b"x" * 128


def app(environ, start_response):
    time.sleep(SECONDS)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))])
    return [BODY]
