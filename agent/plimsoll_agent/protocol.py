"""Frames of the control connection: a 4-byte big-endian length and that many bytes of JSON, one object with a `type`."""
import json
import struct

MAX_FRAME = 1 << 20
MAX_FILE_PIECE = 256 << 10                  # raw bytes; base64 makes a third more of them


class ProtocolError(Exception):
    pass


def pack(message):
    body = json.dumps(message, separators=(",", ":"), default=str).encode("utf-8", "replace")
    if len(body) > MAX_FRAME:
        raise ProtocolError("a %s of %d bytes is too long for a frame" % (message.get("type"), len(body)))
    return struct.pack(">I", len(body)) + body


class Reader:
    """Bytes as they come in, messages as they are complete."""

    def __init__(self):
        self._buffer = bytearray()

    def feed(self, data):
        self._buffer += data
        messages = []
        while len(self._buffer) >= 4:
            length, = struct.unpack_from(">I", self._buffer)
            if length > MAX_FRAME:
                raise ProtocolError("the proxy announced a frame of %d bytes" % length)
            if len(self._buffer) < 4 + length:
                break
            message = json.loads(self._buffer[4:4 + length].decode("utf-8"))
            del self._buffer[:4 + length]
            if not isinstance(message, dict):
                raise ProtocolError("the proxy sent a frame that is no object")
            messages.append(message)
        return messages
