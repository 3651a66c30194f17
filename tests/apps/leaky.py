"""Leaks of several kinds, behind routes of their own. LEAKS names those that this release has ("orders,files"); unset: all.

    /orders/N       keeps LEFT_BEHIND bytes (256 KiB) for ever in a dict of the module
    /files/N        opens a file and keeps it
    /children/N     starts a process, and never waits for it
    /holes/N        keeps the beginnings of blocks whose rest is freed: no hole between two has room for another block
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
    blocks = [bytearray(20000) for _ in range(4)]              # above what Python's own allocator takes
    for block in blocks:
        del block[600:]                                        # gives the rest back where it lies: a hole too small for the next
    _pins.extend(blocks)


VIEWS = {"orders": orders, "files": files, "children": children, "holes": holes}


def wsgi(environ, start_response):
    _, name, number = (environ["PATH_INFO"] + "/0").split("/")[:3]
    if name in LEAKS:
        VIEWS[name](number)
    body = b"ok\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
