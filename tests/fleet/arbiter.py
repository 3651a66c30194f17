"""A server of several workers for the fleet's tests, shaped like gunicorn with the agent's hooks: an arbiter that forks workers, each
with a private listener that it announces; `successor`, `retire` and `cancel` as docs/agent-protocol.md has them.

    arbiter.py --workers N [--broken FILE] [--late FILE] [--order uvicorn] [--bind ADDRESS [--no-agent [--stalls FILE] | --shared | --loads FILE | --silent FILE]]
               [--helper]

While FILE exists no worker can boot. With --bind the workers share a listener as well; with --no-agent or --shared they have no other.
With --stalls they do not serve while FILE exists, though the listener is open, as with gunicorn. With --loads they serve that one, and their agents do not dial while FILE exists; with --silent they have no agent, and nobody listens
while FILE exists, as with uvicorn. Orders reach the arbiter through a pipe that its
workers inherit. With --helper it has a child that is no worker, as multiprocessing gives one to a server.
"""
import argparse
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import app  # noqa: E402

BOOT_FAILED = 3


class Arbiter:
    def __init__(self, options):
        self.options = options
        self.wanted = options.workers
        self.workers = {}                   # pid -> True once it has been forked
        self.marked = {}                    # pid of a worker to go -> its successor's pid, None before the fork
        self.cancelled = set()
        self.read, self.write = os.pipe()
        self.hold_until = 0
        self.public = app.bind(options.bind.replace("unix:", "", 1)) if options.bind else None
        if self.public and not options.silent:
            self.public.listen(64)

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: app.STOPPING.set())
        helper = subprocess.Popen(["sleep", "60"]) if self.options.helper else None
        while not app.STOPPING.is_set():
            self.reap()
            late = self.options.late and os.path.exists(self.options.late)
            while len(self.workers) < self.wanted and time.monotonic() >= self.hold_until and not late:
                self.fork()
            if select.select([self.read], [], [], 0.02)[0]:
                for line in os.read(self.read, 4096).decode().splitlines():
                    verb, pid = line.split()
                    self.obey(verb, int(pid))
        for pid in self.workers:
            os.kill(pid, signal.SIGTERM)
        while self.workers:
            self.reap()
            time.sleep(0.01)
        if helper:
            helper.kill()

    def fork(self):
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(self.work())
            finally:
                os._exit(1)
        self.workers[pid] = True
        for victim, successor in self.marked.items():
            if successor is None:
                self.marked[victim] = pid
                break

    def reap(self):
        while self.workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self.workers.pop(pid, None)
            failed = os.WIFEXITED(status) and os.WEXITSTATUS(status) == BOOT_FAILED
            if failed:
                self.hold_until = time.monotonic() + 0.2
            if self.marked.pop(pid, self) is not self or pid in self.cancelled:
                self.wanted -= 1
            for victim, successor in self.marked.items():
                if successor == pid:
                    self.marked[victim] = None
            self.tell(pid, status, failed)

    def tell(self, pid, status, failed):
        if self.options.no_agent or self.options.silent:
            return
        message = json.dumps({"type": "exited", "pid": pid, "status": status, "pool": os.environ.get("PLIMSOLL_POOL"),
                              "token": os.environ.get("PLIMSOLL_TOKEN"), "boot_failed": failed}).encode()
        try:
            with app.dial() as connection:
                connection.sendall(struct.pack(">I", len(message)) + message)
        except OSError:
            pass

    def obey(self, verb, pid):
        if verb == "successor" and pid in self.workers:
            self.marked[pid] = None
            self.wanted += 1
        elif verb == "retire" and pid in self.workers:
            os.kill(pid, signal.SIGTERM)
        elif verb == "cancel":
            for victim, successor in list(self.marked.items()):
                del self.marked[victim]
                if successor in self.workers:
                    self.cancelled.add(successor)
                    os.kill(successor, signal.SIGTERM)
                else:
                    self.wanted -= 1

    def work(self):
        app.STOPPING.clear()
        signal.signal(signal.SIGTERM, lambda *_: app.STOPPING.set())
        if self.options.silent:
            while os.path.exists(self.options.silent) and not app.STOPPING.is_set():
                time.sleep(0.01)
            self.public.listen(64)
        while self.options.stalls and os.path.exists(self.options.stalls) and not app.STOPPING.is_set():
            time.sleep(0.01)
        if self.options.no_agent or self.options.silent:
            app.serve(self.public)
            return 0
        if self.options.loads:
            threading.Thread(target=app.serve, args=(self.public,), daemon=True).start()
            while os.path.exists(self.options.loads) and not app.STOPPING.is_set():
                time.sleep(0.01)
        path = os.path.join(os.environ["PLIMSOLL_RUN_DIR"], "w%d.sock" % os.getpid())
        listener = self.public if self.options.shared else app.listen(path)
        server = {"order": "gunicorn"}.get(self.options.order, self.options.order)

        def order(verb):
            def pass_on(pid):
                if self.options.order != "gunicorn":
                    return "no arbiter with the agent's hooks"
                os.write(self.write, ("%s %d\n" % (verb, pid)).encode())
            return pass_on
        orders = {verb: order(verb) for verb in ("successor", "retire", "cancel")}
        elsewhere = {"pid_namespace": 1} if self.options.elsewhere else {}
        agent = app.Agent(app.hello(server=server, address=None if self.options.shared else "unix:" + path, **elsewhere), orders)
        threading.Thread(target=agent.run, daemon=True).start()
        if self.options.broken and os.path.exists(self.options.broken):
            time.sleep(0.05)
            return BOOT_FAILED
        app.serve(listener)
        if not self.options.shared:
            os.unlink(path)
        agent.bye()
        return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--broken")
    parser.add_argument("--late", help="a file: while it exists the arbiter forks nobody")
    parser.add_argument("--order", default="gunicorn")
    parser.add_argument("--bind")
    parser.add_argument("--elsewhere", action="store_true", help="agents say that they live in another pid namespace")
    parser.add_argument("--no-agent", action="store_true")
    parser.add_argument("--shared", action="store_true")
    parser.add_argument("--loads")
    parser.add_argument("--silent")
    parser.add_argument("--stalls")
    parser.add_argument("--helper", action="store_true")
    Arbiter(parser.parse_args()).run()


if __name__ == "__main__":
    main()
