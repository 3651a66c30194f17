"""What the environment says: docs/agent-protocol.md names the variables."""
import os


class Settings:
    def __init__(self, environ):
        self.control = parse_address(environ.get("PLIMSOLL_CONTROL", ""))      # ("unix", path) or ("tcp", host, port)
        self.token = environ.get("PLIMSOLL_TOKEN") or _content(environ.get("PLIMSOLL_TOKEN_FILE"))
        self.pool = environ.get("PLIMSOLL_POOL") or None
        self.index = _number(environ.get("PLIMSOLL_INDEX"))
        listen, _, self.listen_host = (environ.get("PLIMSOLL_LISTEN") or self.control[0]).partition(":")
        if listen not in ("unix", "tcp", "none"):
            raise ValueError("PLIMSOLL_LISTEN=%s: use unix, tcp, tcp:ADDRESS or none" % listen)
        self.listen = listen
        self.run_dir = environ.get("PLIMSOLL_RUN_DIR") or None


def read():
    return Settings(os.environ)


def hide():
    """From the programs that this process starts. Returns the address."""
    return os.environ.pop("PLIMSOLL_CONTROL", None)


def parse_address(text):
    """unix:/path, /path, tcp:HOST:PORT, tcp:[::1]:PORT"""
    if text.startswith("tcp:"):
        host, _, port = text[4:].rpartition(":")
        if host and port.isdigit():
            return ("tcp", host.strip("[]"), int(port))
    path = text[5:] if text.startswith("unix:") else text
    if path.startswith("/"):
        return ("unix", path)
    raise ValueError("PLIMSOLL_CONTROL=%s: use unix:/path/to/control.sock or tcp:HOST:PORT" % text)


def _content(path):
    if not path:
        return None
    with open(path) as file:
        return file.read().strip()


def _number(text):
    return int(text) if text and text.isdigit() else None
