#!/usr/bin/env python3
"""`make demo`: a shop on four gunicorn workers, one page of which leaks, behind Plimsoll. Within two minutes of the start
you see workers reach their soft limit, being drained, examined and replaced, while customers go on ordering.

Ends by itself, or with Ctrl-C; --keep goes on until then. Exit code 0: no request failed and at least two workers went
through a full cycle.
"""
import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from traffic import Customers  # noqa: E402  (also puts the harness on the path)
from harness import processes  # noqa: E402
from harness.proxy import APPS, Proxy  # noqa: E402
from harness.waiting import until  # noqa: E402

MIB = 1 << 20
WORKERS, GROWTH = 4, 24                                        # MiB between a fresh worker and its soft limit
EVIDENCE = ROOT / "build" / "demo"
PAINT = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(text, code):
    return "\x1b[%sm%s\x1b[0m" % (code, text) if PAINT else text


def mib(size):
    return "?" if size is None else "%d MiB" % round(size / MIB)


class Demo:
    def __init__(self, options):
        os.environ["PLIMSOLL_BINARY"] = str(Path(options.binary).resolve())
        self.options = options
        self.told = set()                                      # incidents whose end was printed
        self.cycles = 0
        self.began = time.monotonic()
        self.customers = None
        shutil.rmtree(EVIDENCE, ignore_errors=True)
        EVIDENCE.mkdir(parents=True)
        self.proxy = Proxy()

    def say(self, text):
        seconds = int(time.monotonic() - self.began)
        print("%s %s" % (paint("%02d:%02d" % divmod(seconds, 60), "2"), text), flush=True)

    # The fleet: an ordinary gunicorn; Plimsoll is told the command and two limits.
    def configure(self, soft):
        self.soft = soft
        command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--bind", "127.0.0.1:0", "--log-level", "warning",
                   "shop:app"]
        self.proxy.configure({
            "store": {"path": str(EVIDENCE)}, "log": {"level": "info"},
            "pool": [{"name": "app", "source": {"kind": "gunicorn", "command": command, "directory": str(APPS)},
                      "memory": {"limit": "%dMiB" % (soft * 2), "interval": "250ms"},
                      "recycle": {"soft_limit": "%dMiB" % soft, "hard_limit": "%dMiB" % (soft * 3 // 2), "max_per_hour": 600}}]})

    def fresh_worker(self):
        """What a worker of this shop uses when it has served a little: differs with Python's version and the machine."""
        self.configure(4096)
        self.proxy.start()
        workers = self.proxy.wait_serving(WORKERS)
        customers = Customers(self.proxy.address, orders=0).start()
        until(lambda: customers.requests > 400, 20, "the shop answers")
        customers.stop()
        used = max(processes.anonymous_memory(worker["pid"]) for worker in workers)
        self.proxy.stop()
        return used

    def run(self):
        print("A shop on %d gunicorn sync workers behind Plimsoll. Its order page remembers every order that it shows, for ever." % WORKERS)
        self.configure(self.fresh_worker() // MIB + GROWTH)
        self.began = time.monotonic()
        self.proxy.start()
        self.proxy.wait_serving(WORKERS)
        print("  shop   http://127.0.0.1:%d/orders/1\n  admin  http://%s/v1/status\n  look   %s workers --admin %s" % (
            self.proxy.port, self.proxy.admin.address, self.options.binary, self.proxy.admin.address))
        self.say("the fleet serves; soft limit of a worker: %d MiB (drain, capture, recycle)" % self.soft)
        self.customers = Customers(self.proxy.address, rate=self.options.rate).start()
        self.say("customers: %d requests/s on 12 connections, 30 %% POSTs, every answer checked" % self.options.rate)
        self.watch()

    def watch(self):
        next_glance = time.monotonic() + 5
        while True:
            time.sleep(0.2)
            for incident in reversed(self.proxy.admin.incidents()):
                if incident["trigger"] in ("soft_limit", "hard_limit") and incident["state"] != "open" and incident["id"] not in self.told:
                    self.told.add(incident["id"])
                    self.tell(self.proxy.admin.incident(incident["id"]))
                    next_glance = time.monotonic() + 5
                elif incident["trigger"] == "leak" and incident["id"] not in self.told:
                    leak = self.proxy.admin.incident(incident["id"])
                    if leak["routes"]:
                        self.told.add(leak["id"])
                        self.say("%s   %s" % (paint(leak["verdict"], "31"), leak["id"]))
            if time.monotonic() > next_glance:
                self.glance()
                next_glance = time.monotonic() + 10
            seconds = time.monotonic() - self.began
            if not self.options.keep and (seconds > self.options.seconds or self.cycles >= self.options.cycles):
                return

    def glance(self):
        bars = []
        for worker in self.proxy.admin.workers():
            used = worker["memory"]["anon_bytes"] or worker["memory"]["rss_bytes"] or 0
            full = min(8, round(8 * used / (self.soft * MIB)))
            bars.append("%s %s%s %s" % (worker["id"], paint("=" * full, "31" if full > 6 else "32"), "." * (8 - full), mib(used)))
        self.say("%s   %s requests, %d failed" % ("   ".join(bars), "{:,}".format(self.customers.requests), len(self.customers.failures)))

    def tell(self, incident):
        recycle = incident["recycle"]
        if recycle["outcome"] != "done":
            return self.say("%s: recycle %s: %s" % (incident["worker"], recycle["outcome"], incident["verdict"]))
        full = bool(incident["types"]) and incident["capture"]["status"] in ("done", "partial")
        self.cycles += full
        self.say("%s reached its soft limit: drained in %d ms, captured, recycled: %s (%d requests lost)   %s" % (
            paint(incident["worker"], "1"), recycle["drained_ms"],
            paint("%s -> %s" % (mib(recycle["memory_before"]), mib(recycle["memory_after"])), "1"), recycle["lost"], incident["id"]))
        if incident["types"]:
            top = incident["types"][0]
            said = "grew most: %s %s" % (paint(top["type"], "33"), "{:+,}".format(top["delta"]))
            if incident["lines"]:
                line = incident["lines"][0]
                said += "; allocated at %s:%s" % (Path(line["file"]).name, line["line"])
            # "shop.orders.OrderLine: shop.orders._recent (dict, 702 items) -> ...": what holds it stands first.
            paths = [held[len(top["type"]) + 2:] for held in incident["retainers"] if held.startswith(top["type"] + ": ")]
            if paths:
                said += "; kept by " + paint(paths[0].partition(" -> ")[0], "33")
            print("      " + said)

    def summary(self):
        if self.customers is None:
            return 1
        customers = self.customers
        enough = self.cycles >= 2
        print("\n%s requests (%d %% POSTs), %s; slowest %.0f ms; %d workers drained, captured and recycled" % (
            "{:,}".format(customers.requests), round(100 * customers.posts / max(1, customers.requests)),
            paint("%d failed" % len(customers.failures), "32" if not customers.failures else "31"), customers.slowest * 1e3, self.cycles))
        for failure in customers.failures[:5]:
            print("  failed: " + failure)
        if not enough:
            print("  fewer than two full cycles: see %s" % (EVIDENCE / "log"))
        incidents = sorted((EVIDENCE / "incidents").glob("*/census.json"))
        if incidents:
            shown = os.path.relpath(incidents[-1].parent)
            print("The evidence of each recycle lies in %s, for instance:" % os.path.relpath(EVIDENCE / "incidents"))
            for name, command in (("retainers.txt", "cat %s"), ("stacks.txt", "cat %s"), ("census.json", "python3 -m json.tool %s | head -40"),
                                  ("trace.snapshot", "python3 -c \"import tracemalloc; print(*tracemalloc.Snapshot.load('%s').statistics('lineno')[:5], sep='\\n')\"")):
                if (incidents[-1].parent / name).exists():
                    print("  " + command % (shown + "/" + name))
        return 0 if enough and not customers.failures else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--binary", default=str(ROOT / "build" / "release" / "plimsoll"))
    parser.add_argument("--rate", type=int, default=400, help="requests a second (400)")
    parser.add_argument("--cycles", type=int, default=6, help="end after so many recycles (6)")
    parser.add_argument("--seconds", type=int, default=105, help="end after so many seconds at the latest (105)")
    parser.add_argument("--keep", action="store_true", help="go on until Ctrl-C")
    options = parser.parse_args()
    if not Path(options.binary).exists():
        raise SystemExit("%s is not built: run make" % options.binary)
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    demo = Demo(options)
    left = 1
    try:
        demo.run()
    except KeyboardInterrupt:
        print()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)           # one Ctrl-C is heard; the rest would leave processes behind
        if demo.customers:
            demo.customers.stop()
        try:
            demo.proxy.stop()
            left = len(processes.marked(demo.proxy.mark))
        finally:
            if demo.proxy.log_path.exists():
                shutil.copyfile(demo.proxy.log_path, EVIDENCE / "log")
            demo.proxy.clean_up()
    code = demo.summary()
    if left:
        print("%d processes were left behind" % left)
    sys.exit(code or (1 if left else 0))


if __name__ == "__main__":
    main()
