"""What the leak detector says of real workers with known behaviour (labelled.py), one gunicorn each, behind the real binary.

    python tests/bench/leaks/run.py [--requests 6000] [--bytes 4096] [--seed 1] [--only lru,native] [--binary PATH]

Every application is the first process ever of its pool: nothing to be compared with. Prints a line for each: what was said at
the end, whether and after how many requests it was said to leak, and the bytes a request.
"""
import argparse
import os
import random
import socket
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "e2e"), str(HERE.parents[1] / "apps")]

ROUTES = 20


def ask(connection, path):
    connection.sendall(("GET %s HTTP/1.1\r\nHost: bench\r\n\r\n" % path).encode())
    answer = b""
    while not answer.endswith(b"ok\n"):
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("closed")
        answer += piece


def client(port, paths, failed):
    connection = socket.create_connection(("127.0.0.1", port))
    for path in paths:
        try:
            ask(connection, path)
        except OSError:
            failed.append(path)
            connection = socket.create_connection(("127.0.0.1", port))


def life(behaviour, arguments):
    from harness.fleets import fleet
    from harness.proxy import Proxy
    draw = random.Random(arguments.seed)
    limit = "%dMiB" % arguments.limit
    config = fleet("sync", 1, "labelled:app", memory={"limit": limit, "interval": "100ms"}, leak={"policy": "advise"})
    proxy = Proxy(config, {"BEHAVIOUR": behaviour, "BYTES": str(arguments.bytes), "SEED": str(arguments.seed),
                           "LEAKY": ",".join(str(n) for n in range(ROUTES)), "PYTHONPATH": str(HERE)})
    said_at, failed = None, []
    try:
        proxy.start()
        proxy.wait_serving(1)
        for sent in range(0, arguments.requests, 200):
            paths = ["/r/%d/%d" % (draw.randrange(ROUTES), draw.randrange(10**6)) for _ in range(200)]
            threads = [threading.Thread(target=client, args=(proxy.port, paths[i::2], failed)) for i in range(2)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            leak = proxy.admin.workers()[0]["leak"]
            if said_at is None and leak and leak["class"] == "leaking":
                said_at = sent + 200
        time.sleep(0.3)
        leak = proxy.admin.workers()[0]["leak"] or {"class": "unknown", "bytes_per_request": 0, "low": 0, "high": 0, "confidence": 0}
        leak["line"] = lines_said(proxy.admin)
    finally:
        if proxy.process and proxy.process.poll() is None:
            proxy.tell_to_stop()
            proxy.process.wait(60)
        proxy.clean_up()
    return leak, said_at, len(failed)


def lines_said(admin):
    """What the leak's incident claims, the first line in front: "labelled.py:49", or "-"."""
    for incident in admin.incidents():
        if incident["trigger"] == "leak":
            lines = admin.incident(incident["id"]).get("lines") or []
            return " ".join("%s:%d" % (os.path.basename(line["file"]), line["line"]) for line in lines[:3]) or "-"
    return "-"


def true_lines(behaviour):
    """Lines of the leak's own function or of what it calls to make its bytes; none where C code has them."""
    import inspect
    import labelled
    if behaviour not in labelled.LEAKS or behaviour == "native":
        return set()
    found = set()
    for function in (getattr(labelled, behaviour), labelled.block):
        source, first = inspect.getsourcelines(function)
        found |= set(range(first, first + len(source)))
    return found


def is_true(said, truth):
    return [piece for piece in said.split() if int(piece.rpartition(":")[2]) in truth]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--bytes", type=int, default=4096)
    parser.add_argument("--limit", type=int, default=512, help="MiB of one worker")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--binary")
    arguments = parser.parse_args()
    if arguments.binary:
        os.environ["PLIMSOLL_BINARY"] = str(Path(arguments.binary).resolve())
    import labelled
    names = arguments.only.split(",") if arguments.only else labelled.LEAKS + labelled.INNOCENTS
    print("%-16s %-8s %-14s %-9s %-22s %s" % ("behaviour", "truth", "class", "said at", "bytes a request", "confidence and lines"))
    wrong = lines_wrong = 0
    for name in names:
        leak, said_at, failed = life(name, arguments)
        leaks = name in labelled.LEAKS
        wrong += leaks != (said_at is not None)
        slope = "%.0f (%.0f-%.0f)" % (leak["bytes_per_request"], leak["low"], leak["high"])
        truth, said = true_lines(name), "" if leak["line"] == "-" else leak["line"]
        lines_wrong += not is_true(" ".join(said.split()[:1]), truth) if truth else bool(said)
        print("%-16s %-8s %-14s %-9s %-22s %.2f %s%s" % (name, "leak" if leaks else "innocent", leak["class"], said_at or "-", slope,
                                                     leak["confidence"], leak["line"], "  %d requests failed" % failed if failed else ""), flush=True)
    print("%d of %d told rightly, the first line (or none, where none is true) of %d" % (len(names) - wrong, len(names), len(names) - lines_wrong))


if __name__ == "__main__":
    main()
