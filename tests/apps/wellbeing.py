"""An application that says how it feels. /health answers 503 while a file named by the worker's pid lies in the directory ILL, and
writes the pid down in ASKED; /sleep/S is a slow request; everything else answers the pid. As WSGI and as ASGI."""
import asyncio
import os
import time

PLACE = os.environ.get("ILL", "/nonexistent")


def answer(path):
    pid = str(os.getpid())
    if path != "/health":
        return 200, pid
    with open(os.environ["ASKED"], "a") as asked:
        asked.write("%s %f\n" % (pid, time.time()))
    return (503 if os.path.exists(os.path.join(PLACE, pid)) else 200), pid


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/sleep/"):
        time.sleep(float(path.rpartition("/")[2]))
    status, text = answer(path)
    start_response("%d Whatever" % status, [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    path = scope["path"]
    if path.startswith("/sleep/"):
        await asyncio.sleep(float(path.rpartition("/")[2]))
    status, text = answer(path)
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]})
    await send({"type": "http.response.body", "body": text.encode()})
