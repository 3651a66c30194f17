"""The proxy's end of the control socket, as docs/agent-protocol.md has it: enough to test agents without the binary."""
import base64
import json
import os
import socket
import struct
import threading
import time


def wait_for(condition, what, seconds=15.0):
    """The condition's value once it is true. No test sleeps for luck."""
    ends = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > ends:
            raise AssertionError("waited %g s for %s" % (seconds, what))
        time.sleep(0.02)


class Agent:
    """One connection, as the proxy sees it."""

    def __init__(self, proxy, connection):
        self.proxy, self.connection = proxy, connection
        self.hello, self.samples, self.results, self.files, self.release = None, [], {}, {}, None
        self.ready = self.said_bye = self.gone = False
        self._numbers = 0
        self._lock = threading.Lock()
        self.answered = threading.Condition()

    pid = property(lambda self: self.hello["pid"])
    address = property(lambda self: self.hello["address"])

    def send(self, message):
        body = json.dumps(message).encode()
        self.connection.sendall(struct.pack(">I", len(body)) + body)

    def ask(self, name, deadline=10.0, **args):
        """Sends a command; its id."""
        with self._lock:
            self._numbers += 1
            number = self._numbers
        self.send({"type": "command", "id": number, "name": name, "deadline": deadline, "args": args})
        return number

    def command(self, name, deadline=10.0, **args):
        """Sends a command and waits; the result, with the files that came before it."""
        number = self.ask(name, deadline, **args)
        ends = time.monotonic() + deadline + 5
        with self.answered:
            while number not in self.results:
                assert not self.gone, "hung up during %s" % name
                assert time.monotonic() < ends, "no answer to %s" % name
                self.answered.wait(0.1)
        result = self.results[number]
        return dict(result, files=self.files.get(number, {}))

    def settle(self):
        """Waits for the census at boot, so that what follows counts as growth."""
        wait_for(lambda: self.command("capture_a")["data"]["boot_census"], "the census at boot")

    def take(self, message):
        kind = message["type"]
        if kind == "ready":
            self.ready, self.release = True, message["release"]
        elif kind == "sample":
            self.samples.append(message)
        elif kind == "file":
            files = self.files.setdefault(message["id"], {})
            files[message["name"]] = files.get(message["name"], b"") + base64.b64decode(message["data"])
        elif kind == "result":
            with self.answered:
                self.results[message["id"]] = message
                self.answered.notify_all()
        elif kind == "bye":
            self.said_bye = True


class FakeProxy:
    def __init__(self, folder, tcp=False, interval=0.2, refusal=None, mode=0o666):
        self.path = os.path.join(folder, "control.sock")
        self.tcp, self.interval, self.refusal, self.mode = tcp, interval, refusal, mode
        self.agents, self.exited, self.hellos = [], [], []
        self.port = 0
        self.open()

    def open(self):
        if self.tcp:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", self.port))
            self.port = self.listener.getsockname()[1]
            self.address = "tcp:localhost:%d" % self.port
        else:
            if os.path.exists(self.path):
                os.unlink(self.path)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
            os.chmod(self.path, self.mode)
            self.address = "unix:" + self.path
        self.listener.listen(64)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        """Goes away, as a proxy that restarts does."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for agent in list(self.agents):
            try:
                agent.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def living(self):
        return [agent for agent in list(self.agents) if not agent.gone]

    def ready(self, count):
        """Waits for so many ready workers; the agents by age."""
        def there():
            found = [agent for agent in self.living() if agent.ready and agent.address]
            return len(found) == count and sorted(found, key=lambda agent: (agent.hello.get("age") or 0, agent.pid))
        try:
            return wait_for(there, "%d ready workers" % count, 30)
        except AssertionError as error:
            raise AssertionError("%s; there are %s" % (error, [(a.pid, a.ready, a.address) for a in self.living()]))

    def by_pid(self, pid):
        return next((agent for agent in self.living() if agent.pid == pid), None)

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        agent = Agent(self, connection)
        stream = connection.makefile("rb")
        try:
            while True:
                head = stream.read(4)
                if len(head) < 4:
                    break
                length, = struct.unpack(">I", head)
                assert length <= 1 << 20
                message = json.loads(stream.read(length).decode())
                if agent.hello is None and message["type"] == "exited":
                    self.exited.append(message)
                elif agent.hello is None:
                    assert message["type"] == "hello", message
                    self.hellos.append(message)
                    if self.refusal:
                        agent.send({"type": "refused", "reason": self.refusal})
                        break
                    agent.hello, agent.ready, agent.release = message, message["ready"], message["release"]
                    agent.send({"type": "welcome", "v": 1, "sample_interval": self.interval})
                    self.agents.append(agent)                  # now tests see it, and no command goes ahead of the welcome
                else:
                    agent.take(message)
        except OSError:
            pass
        agent.gone = True
        connection.close()
