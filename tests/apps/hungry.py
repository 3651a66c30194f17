"""An application that needs memory for a moment: /need/MEGABYTES. It tells how many of its requests ran at once.

/need/MEGABYTES?least=N holds it until N have run at once, or 20 s. /keep/MEGABYTES takes them once, for good.
/late/MEGABYTES takes them when it has been at work for a second, whoever waits for it by then, and adds a byte to the file `late`.
/thread/MEGABYTES begins a thread that takes them for half a second out of two, whatever is asked."""
import asyncio
import threading
import time
from urllib.parse import parse_qs

HELD, LATE = 0.15, 1.0                                          # seconds
lock = threading.Lock()
running = {}                                                   # megabytes -> requests
keep = {}                                                      # megabytes -> what stays
most = {}                                                      # of them at once, so far


def touch(megabytes):
    taken = bytearray(megabytes << 20)
    for page in range(0, len(taken), 4096):
        taken[page] = 1
    return taken


def refresh(megabytes):
    while True:
        taken = touch(megabytes)
        time.sleep(0.5)
        del taken
        time.sleep(1.5)


def wsgi(environ, start_response):
    parts = environ["PATH_INFO"].split("/")
    if parts[1] == "need":
        need = parts[2]
        with lock:
            running[need] = running.get(need, 0) + 1
            most[need] = max(most.get(need, 0), running[need])
        held = touch(int(need))
        time.sleep(HELD)
        least = int(parse_qs(environ["QUERY_STRING"]).get("least", ["0"])[0])
        deadline = time.monotonic() + 20
        while most[need] < least and time.monotonic() < deadline:
            time.sleep(0.02)
        del held
        with lock:
            running[need] -= 1
    elif parts[1] == "keep":
        with lock:
            if parts[2] not in keep:
                keep[parts[2]] = touch(int(parts[2]))
    elif parts[1] == "late":
        time.sleep(LATE)
        held = touch(int(parts[2]))
        time.sleep(HELD)
        del held
        with open("late", "a") as file:
            file.write(".")
    elif parts[1] == "thread":
        threading.Thread(target=refresh, args=(int(parts[2]),), daemon=True).start()
    elif parts[1] == "forget":
        most.clear()
    body = "".join("%s %d\n" % pair for pair in sorted(most.items())).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    """As frameworks do: what is no coroutine runs in a thread, and is never interrupted."""
    if scope["type"] != "http":
        return
    heads = []
    environ = {"PATH_INFO": scope["path"], "QUERY_STRING": scope["query_string"].decode()}
    body, = await asyncio.to_thread(wsgi, environ, lambda _, fields: heads.extend(fields))
    fields = [(name.lower().encode(), value.encode()) for name, value in heads]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})
