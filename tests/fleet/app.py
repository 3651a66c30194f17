"""A worker for the fleet's tests: one process, one request at a time, HTTP/1.1 with Connection: close.

    app.py [--socket PATH | --port N] [--agent] [--ignore-term] [--exit CODE] [--slow SECONDS] [--hang-capture] [--supervised]
           [--elsewhere] [--deaf] [--holes] [--refuse-traces N] [--commands FILE] [--stacks FOLDER]

GET /           "PID"
POST /grow/N    keeps N MiB more
POST /leave/N   keeps N KiB more
POST /sleep/S   answers after S seconds
GET /health     answers after as many seconds as PLIMSOLL_RUN_DIR/hang says, or at once
POST /die/N     exits with code N in the middle of the request
POST /helper    starts another server with an agent, as an application may; what it says is in PLIMSOLL_RUN_DIR/helper

With --agent a thread speaks the agent's protocol: docs/agent-protocol.md. With --supervised it starts again after SIGTERM, as a
server under systemd does. With --holes its agent tells that what it grows by is in use nowhere, and that a trim gave half of
it back. Its first N traces are refused; those after it claim one line. With --elsewhere the agent says that it lives in another pid namespace, with --deaf it passes no signal on; FILE gets
a line for each command that it hears.
"""
import argparse
import base64
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

KEPT = []
STOPPING = threading.Event()


def dial():
    control = os.environ["PLIMSOLL_CONTROL"]
    if control.startswith("tcp:"):
        _, host, port = control.split(":")
        return socket.create_connection((host, int(port)))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(control.replace("unix:", "", 1))
    return connection


class Agent:
    """The smallest agent there can be, with what a test wants to go wrong."""

    def __init__(self, hello, orders=None, hang_capture=False, deaf=False, commands=None, holes=False, refuse_traces=0):
        self.hello, self.orders, self.hang_capture, self.deaf, self.commands = hello, orders or {}, hang_capture, deaf, commands
        self.holes, self.refuse_traces = holes, refuse_traces
        self.lock = threading.Lock()

    def run(self):
        while not STOPPING.is_set():
            try:
                self.talk()
            except OSError:
                pass
            time.sleep(0.1)

    def talk(self):
        self.connection = dial()
        self.send(dict(self.hello, type="hello"))
        self.send({"type": "sample", "rss": 50 << 20, "anon": 40 << 20, "cgroup_limit": 400 << 20})
        if self.holes:
            threading.Thread(target=self.tell_of_holes, daemon=True).start()
        reader = self.connection.makefile("rb")
        while True:
            head = reader.read(4)
            if len(head) < 4:
                return
            message = json.loads(reader.read(struct.unpack(">I", head)[0]))
            if message["type"] == "refused":
                print("refused:", message["reason"], flush=True)
                return
            if message["type"] == "command":
                self.obey(message)

    def tell_of_holes(self):
        while True:
            try:
                self.send({"type": "sample", "allocated_blocks": 1000, "malloc_in_use": 10 << 20})
            except OSError:
                return
            time.sleep(0.05)

    def bye(self):
        try:
            self.send({"type": "bye"})
        except (OSError, AttributeError):       # nobody listens, or nobody ever did
            pass

    def send(self, message):
        data = json.dumps(message).encode()
        with self.lock:
            self.connection.sendall(struct.pack(">I", len(data)) + data)

    def file(self, command, name, content):
        self.send({"type": "file", "id": command["id"], "name": name, "data": base64.b64encode(content).decode(), "last": True})

    def obey(self, command):
        name, data, error = command["name"], {}, None
        if self.commands:
            with open(self.commands, "a") as file:
                print(name, "%.3f" % time.monotonic(), json.dumps(command.get("args")), file=file)
        if self.hang_capture and name.startswith("capture"):
            return
        if name == "capture_a":
            self.file(command, "stacks.txt", b"Thread 1: in leak()\n")
        elif name == "capture_b":
            self.file(command, "census.json", b"{}")
            data = {"types": [{"type": "bytearray", "count": len(KEPT), "bytes": sum(map(len, KEPT)), "delta": len(KEPT)}]}
        elif name == "census":
            data = {"types": {"bytearray": {"count": len(KEPT), "bytes": sum(map(len, KEPT))}}, "frozen": 7}
        elif name == "trace_start" and self.refuse_traces > 0:
            self.refuse_traces -= 1
            error = "a trace is on by itself"
        elif name == "trace_stop":
            data = {"lines": [{"file": "/srv/app.py", "line": 7, "function": "grow", "bytes": 5 << 20, "count": 5,
                               "bytes_per_request": 1 << 20, "claimed": True}], "traces": 5, "window": {"collected": True}}
        elif name == "trim":
            grown = sum(map(len, KEPT))
            data = {"memory": {"before": {"anon": grown}, "after": {"anon": grown // 2}}}
        elif name in ("successor", "retire", "cancel"):
            error = self.orders[name](command["args"]["pid"]) if name in self.orders else "no arbiter"
        elif name == "signal" and self.deaf:
            error = "not permitted"
        elif name == "signal":
            os.kill(command["args"]["pid"], command["args"]["signal"])
        self.send({"type": "result", "id": command["id"], "ok": error is None, "error": error, "data": data})


def write_stacks(path):
    with open(path, "w") as file:
        file.write("Thread 1: in its own words\n")


def hello(**more):
    return dict({"v": 1, "pool": os.environ.get("PLIMSOLL_POOL"), "token": os.environ.get("PLIMSOLL_TOKEN"), "pid": os.getpid(), "ppid": os.getppid(),
                 "pid_namespace": os.stat("/proc/self/ns/pid").st_ino, "host": socket.gethostname(), "server": "other",
                 "worker_class": "sync", "threads": 1, "keep_alive": 0, "python": "3", "agent": "test",
                 "started_at": time.time(), "ready": True}, **more)


def answer(connection):
    reader = connection.makefile("rb")
    first = reader.readline().split()
    if len(first) < 2:
        return
    length = 0
    while True:
        line = reader.readline().strip().lower()
        if not line:
            break
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    reader.read(length)
    parts = first[1].decode().strip("/").split("/")
    if parts[0] == "grow":
        KEPT.append(bytearray(os.urandom(1 << 20) * int(parts[1])))
    elif parts[0] == "leave":
        KEPT.append(bytearray(os.urandom(1 << 10) * int(parts[1])))
    elif parts[0] == "sleep":
        time.sleep(float(parts[1]))
    elif parts[0] == "health":
        try:
            with open(os.path.join(os.environ["PLIMSOLL_RUN_DIR"], "hang")) as hang:
                seconds = float(hang.read())
        except FileNotFoundError:
            seconds = 0
        STOPPING.wait(seconds)
    elif parts[0] == "helper":
        run_dir = os.environ["PLIMSOLL_RUN_DIR"]
        with open(os.path.join(run_dir, "helper"), "w") as said:
            subprocess.Popen(["timeout", "10", sys.executable, __file__, "--agent", "--socket", os.path.join(run_dir, "helper.sock")],
                             stdout=said)
    elif parts[0] == "die":
        os._exit(int(parts[1]))
    body = b"%d" % os.getpid()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))


def serve(listener):
    """Until SIGTERM; the request in flight is answered first."""
    listener.settimeout(0.02)
    while not STOPPING.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            continue
        connection.settimeout(10)
        try:
            with connection:
                answer(connection)
        except OSError:
            pass


def bind(path=None, port=None):
    if path:
        if os.path.exists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
    else:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    return listener


def listen(path=None, port=None):
    listener = bind(path, port)
    listener.listen(64)
    return listener


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket")
    parser.add_argument("--port", type=int)
    parser.add_argument("--slow", type=float, default=0)
    parser.add_argument("--exit", type=int)
    parser.add_argument("--exit-if", help="a file: while it exists the process ends at once, with --exit's code")
    for flag in ("--agent", "--ignore-term", "--hang-capture", "--supervised", "--elsewhere", "--deaf", "--holes"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--refuse-traces", type=int, default=0)
    parser.add_argument("--commands")
    parser.add_argument("--stacks", help="a folder: stacks are written there at a real-time signal")
    options = parser.parse_args()
    if options.supervised:
        return supervise()
    if options.exit is not None and (not options.exit_if or os.path.exists(options.exit_if)):
        open(os.path.join(os.environ["PLIMSOLL_RUN_DIR"], "stacks.%d.txt" % os.getpid()), "w").close()    # as the agent's beginning
        print("Traceback (most recent call last):\n  File ...\nModuleNotFoundError: No module named 'nowhere'", file=sys.stderr)
        return options.exit
    signal.signal(signal.SIGTERM, signal.SIG_IGN if options.ignore_term else lambda *_: STOPPING.set())
    time.sleep(options.slow)
    listener = listen(options.socket, options.port)
    if options.agent:
        index = os.environ.get("PLIMSOLL_INDEX")
        elsewhere = {"pid_namespace": 1} if options.elsewhere else {}
        if options.stacks:
            path = os.path.join(options.stacks, "stacks.%d.txt" % os.getpid())
            elsewhere.update(stacks=path, stacks_signal=signal.SIGRTMAX - 3)
            signal.signal(signal.SIGRTMAX - 3, lambda *_: write_stacks(path))
        agent = Agent(hello(index=int(index) if index else None, **elsewhere), hang_capture=options.hang_capture,
                      deaf=options.deaf, commands=options.commands, holes=options.holes, refuse_traces=options.refuse_traces)
        threading.Thread(target=agent.run, daemon=True).start()
    serve(listener)
    return 0


def supervise():
    arguments = [argument for argument in sys.argv if argument != "--supervised"]
    children = []

    def end(*_):
        STOPPING.set()
        for child in children:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    while not STOPPING.is_set():
        children[:] = [os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable] + arguments)]
        os.waitpid(children[0], 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
