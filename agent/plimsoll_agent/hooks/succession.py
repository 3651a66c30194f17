"""Successor first, for one chosen gunicorn worker; and no halt of the whole server when a successor cannot boot. Lives in the arbiter.

    successor PID:  one worker more; the next fork is PID's successor
    retire PID:     SIGTERM to PID
    PID is reaped:  one worker less, so that nobody is forked in its place: its successor is there already
    cancel:         the successor is ended if it lives, and one worker less with it

The count follows the *death* of the chosen worker, not an order to end one: however it dies (retired, killed by the proxy, by the OOM
killer), the arbiter neither forks one too many nor ends a healthy one, as TTIN and TTOU would.

Workers speak to the arbiter through a pipe that they inherit: no file to leave behind, no permission to have, and nothing for another
server to pick up by mistake. The arbiter reads it in its main loop, once a second or when woken by a SIGCHLD.
"""
import os
import signal
import time

FIRST_HOLD, LONGEST_HOLD = 0.5, 5.0         # between boots that fail
MERCY = 2.0                                 # a cancelled successor that ignores SIGTERM


class Succession:
    def __init__(self, server):
        self._server = server
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._first_batch = server.cfg.workers
        self._successors = {}               # pid of the worker to go -> age of its successor, None until it is forked
        self._cancelled = {}                # age of a successor that was given up -> when it is killed
        self._ready = set()                 # pids
        self._failures = 0
        self._hold_until = 0.0
        self.peer = None                    # where workers found a proxy that is reached over TCP

    # In the arbiter

    def restarted(self):
        """A HUP: the arbiter counts its workers anew, replaces all of them, and must not halt if the new code is broken."""
        self._successors.clear()
        self._cancelled.clear()
        self._first_batch = 0
        self._hold_until = 0.0

    def forking(self, worker):
        """pre_fork. A first batch that cannot boot ends the server, as it should: nothing serves yet."""
        if worker.age > self._first_batch:
            self._server.WORKER_BOOT_ERROR = self._server.APP_LOAD_ERROR = -1
        for pid, age in self._successors.items():
            if age is None:
                self._successors[pid] = worker.age
                break

    def reaped(self, worker, status):
        """child_exit. Tells whether the worker died before it could serve. In gunicorn 20 this runs inside a signal handler, beside
        the removal of the worker from WORKERS: the main loop sees both or neither."""
        was_ready = worker.pid in self._ready
        self._ready.discard(worker.pid)
        if self._successors.pop(worker.pid, self) is not self:
            self._server.num_workers -= 1
        elif self._cancelled.pop(worker.age, None) is not None:
            self._server.num_workers -= 1
        else:
            for pid, age in self._successors.items():
                if age == worker.age:
                    self._successors[pid] = None
        ended_by_us = status is not None and (status == 0 or os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM)
        if was_ready or ended_by_us:
            return False
        self._hold_until = time.monotonic() + min(FIRST_HOLD * 2 ** min(self._failures, 10), LONGEST_HOLD)
        self._failures += 1
        return True

    def before_managing(self):
        """Called before the arbiter compares its workers with their number. False: no boot now, the last ones failed."""
        orders = self._orders()
        if orders:
            masked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
            try:
                for verb, pid in orders:
                    self._obey(verb, pid)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        now = time.monotonic()
        for worker in list(self._server.WORKERS.values()):
            if now >= self._cancelled.get(worker.age, now + 1):
                self._server.kill_worker(worker.pid, signal.SIGKILL)
        return now >= self._hold_until or len(self._server.WORKERS) >= self._server.num_workers

    def _orders(self):
        try:
            text = os.read(self._read, 65536).decode("ascii", "replace")
        except BlockingIOError:
            return []
        orders = []
        for line in text.splitlines():
            verb, _, argument = line.partition(" ")
            if verb == "peer":
                host, _, port = argument.rpartition(" ")
                self.peer = (host, int(port))
            else:
                orders.append((verb, int(argument)))
        return orders

    def _obey(self, verb, pid):
        server = self._server
        if verb == "ready":
            self._ready.add(pid)
            self._failures, self._hold_until = 0, 0.0
        elif verb == "successor" and pid in server.WORKERS and pid not in self._successors:
            server.log.info("plimsoll: one worker more, to succeed %d", pid)
            self._successors[pid] = None
            server.num_workers += 1
            self._hold_until = 0.0
        elif verb == "retire" and pid in server.WORKERS:
            server.log.info("plimsoll: %d is retired", pid)
            server.kill_worker(pid, signal.SIGTERM)
        elif verb == "cancel":
            self._cancel()

    def _cancel(self):
        living = {worker.age: pid for pid, worker in self._server.WORKERS.items()}
        for pid, age in list(self._successors.items()):
            del self._successors[pid]
            self._server.log.info("plimsoll: the successor of %d is given up", pid)
            if age in living:
                self._cancelled[age] = time.monotonic() + MERCY
                self._server.kill_worker(living[age], signal.SIGTERM)
            else:
                self._server.num_workers -= 1

    # In a worker

    def order(self, verb, argument):
        """One line is written whole or not at all. Waking the arbiter is a favour: it looks by itself once a second, and a worker
        that runs as another user may not send it signals."""
        os.write(self._write, ("%s %s\n" % (verb, argument)).encode("ascii"))
        try:
            os.kill(os.getppid(), signal.SIGCHLD)
        except OSError:
            pass
