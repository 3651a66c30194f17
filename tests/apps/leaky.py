"""Leaks of several kinds, behind routes of their own. LEAKS names those that this release has ("orders,files"); unset: all.

    /orders/N       keeps LEFT_BEHIND bytes (256 KiB) for ever in a dict of the module
    /files/N        opens a file and keeps it
    /children/N     starts a process, and never waits for it
    /holes/N        frees ever larger blocks, and keeps a small one between each two: the heap is all holes
    anything else   keeps nothing
"""
import os
import subprocess

LEFT_BEHIND = int(os.environ.get("LEFT_BEHIND", 256 << 10))
LEAKS = os.environ.get("LEAKS", "orders,files,children,holes").split(",")
_seen, _files, _children, _pins = {}, [], [], []


def remember(number):
    _seen[len(_seen), number] = bytearray(LEFT_BEHIND)


def orders(number):
    remember(number)


def files(number):
    _files.append(open(os.devnull))


def children(number):
    _children.append(subprocess.Popen(["true"]))


def holes(number):
    size = 8000 + 64 * len(_pins) // 32                        # the holes of earlier requests are too small for it
    blocks = []
    for _ in range(32):
        blocks.append(bytearray(size))
        _pins.append(bytearray(600))                           # above what Python's own allocator takes


VIEWS = {"orders": orders, "files": files, "children": children, "holes": holes}


def wsgi(environ, start_response):
    _, name, number = (environ["PATH_INFO"] + "/0").split("/")[:3]
    if name in LEAKS:
        VIEWS[name](number)
    body = b"ok\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
