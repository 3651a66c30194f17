"""A command in the making: what was asked, how long it may take, and the way back for evidence and answer."""
import base64

from . import native, protocol


class Abandoned(Exception):
    """The proxy has its answer already; unwinds the command."""


class CommandError(Exception):
    """Told to the proxy as it stands."""


class Task:
    def __init__(self, connection, message, server):
        self.connection = connection
        self.server = server
        self.id = message.get("id")
        self.name = message.get("name")
        self.args = message.get("args") or {}
        self.ends = native.monotonic() + float(message.get("deadline") or 10.0)
        self.if_unheard = None              # undoes what the command did, where its answer comes too late or not through
        self.answered = False
        self.finished = False
        self._lock = native.allocate_lock()

    def left(self):
        return self.ends - native.monotonic()

    def file(self, name, content):
        """Evidence, sent at once so that a deadline does not lose it."""
        if isinstance(content, str):
            content = content.encode("utf-8", "backslashreplace")
        size = protocol.MAX_FILE_PIECE
        for start in range(0, max(len(content), 1), size):
            if self.answered:
                raise Abandoned()
            piece = content[start:start + size]
            self.connection.send({"type": "file", "id": self.id, "name": name, "last": start + size >= len(content),
                                  "data": base64.b64encode(piece).decode("ascii")})

    def answer(self, ok, data=None, error=None):
        """The first answer counts. False where this one was not it."""
        with self._lock:
            if self.answered:
                return False
            self.answered = True
        result = {"type": "result", "id": self.id, "ok": ok, "data": data or {}}
        if error is not None:
            result["error"] = error
        self.connection.send(result)
        return True
