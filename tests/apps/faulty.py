"""An application with everything that goes wrong in production, each behind a path of its own.

    /pid                    who answers
    /sleep/S                a slow request
    /hold-the-gil           C code that waits for ever, in a deadlock, without letting go of the GIL
    /ignore-term            from now on this worker ignores SIGTERM
    /hang-collect/S         from now on gc.collect() takes S seconds here
    /exit/CODE              ends the process in the middle of the request
    /fail                   raises
    /leak/KIB               keeps an Invoice of that size for ever, a Line for each KiB
    /stream/N               N pieces, one every 50 ms
"""
import ctypes
import gc
import os
import signal
import time

import release  # noqa: F401
from payload import ledger


class Line:
    def __init__(self, number):
        self.number, self.text = number, bytes(900)


class Invoice:
    def __init__(self, size):
        self.lines = [Line(number) for number in range(size)]


kept = []


def pid(argument):
    return str(os.getpid())


def sleep(argument):
    time.sleep(float(argument))
    return str(os.getpid())


def hold_the_gil(argument):
    mutex = ctypes.create_string_buffer(64)                    # zeros are an unlocked mutex
    c = ctypes.PyDLL(None)
    c.pthread_mutex_lock(mutex)
    c.pthread_mutex_lock(mutex)


def ignore_term(argument):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return str(os.getpid())


def hang_collect(argument):
    seconds = float(argument)
    gc.callbacks.append(lambda phase, info: time.sleep(seconds) if info["generation"] == 2 else None)
    return str(os.getpid())


def leave(argument):
    os._exit(int(argument))


def fail(argument):
    raise RuntimeError("the view broke")


def leak(argument):
    kept.append(Invoice(int(argument)))
    return str(len(kept))


def stream(argument):
    def pieces():
        for number in range(int(argument)):
            time.sleep(0.05)
            yield b"%08d\n" % number
    return pieces()


VIEWS = {"pid": pid, "sleep": sleep, "hold-the-gil": hold_the_gil, "ignore-term": ignore_term, "hang-collect": hang_collect,
         "exit": leave, "fail": fail, "leak": leak, "stream": stream}


def wsgi(environ, start_response):
    _, name, argument = (environ["PATH_INFO"] + "/").split("/")[:3]
    if environ.get("HTTP_X_ID"):
        ledger.write(environ["HTTP_X_ID"])
    environ["wsgi.input"].read()
    view = VIEWS.get(name, pid)
    answer = view(argument)
    fields = [("Content-Type", "text/plain"), ("X-Pid", str(os.getpid()))]
    if isinstance(answer, str):
        answer = [answer.encode()]
        fields.append(("Content-Length", str(len(answer[0]))))
    start_response("200 OK", fields)
    return answer
