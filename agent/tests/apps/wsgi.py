"""An application with a leak of every kind that the captures are tried on."""
import ctypes
import json
import os
import threading
import time

held = []
cache = {}


class Order:
    def __init__(self, number):
        self.number = number
        self.body = os.urandom(2000)


def remember(number):
    cache[number] = Order(number)
    return len(cache)


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/bytes":
        held.extend(os.urandom(4096) for _ in range(100))
    elif path == "/order":
        for _ in range(100):
            remember(len(cache))
    elif path == "/slow":
        time.sleep(1.0)
    elif path == "/busy":
        ends = time.monotonic() + 2
        while time.monotonic() < ends:
            sum(range(1000))
    elif path == "/gil":
        mutex = ctypes.create_string_buffer(64)
        ctypes.PyDLL(None).pthread_mutex_lock(mutex)
        ctypes.PyDLL(None).pthread_mutex_lock(mutex)    # for ever, with the GIL held
    elif path == "/raise":
        raise RuntimeError("the application's own")
    elif path == "/fork":
        pid = os.fork()
        if pid == 0:
            time.sleep(20)
            os._exit(0)
    text = json.dumps({"pid": os.getpid(), "threads": [thread.name for thread in threading.enumerate()]})
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]
