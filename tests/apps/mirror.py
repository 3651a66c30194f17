"""An application of uWSGI's that takes WebSockets: every message comes back. What is no upgrade gets the process's id."""
import base64
import hashlib
import os

import uwsgi


def shake_hands(environ, start_response):
    key = environ["HTTP_SEC_WEBSOCKET_KEY"]
    try:
        uwsgi.websocket_handshake(key, environ.get("HTTP_ORIGIN", ""))
    except OSError:                                            # PyPI's is built without the hash that this needs
        digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        write = start_response("101 Switching Protocols", [("Upgrade", "websocket"), ("Connection", "Upgrade"),
                                                           ("Sec-WebSocket-Accept", base64.b64encode(digest).decode())])
        write(b"")


def wsgi(environ, start_response):
    if environ.get("HTTP_UPGRADE", "").lower() != "websocket":
        body = b"%d" % os.getpid()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]
    shake_hands(environ, start_response)
    try:
        while True:
            uwsgi.websocket_send_binary(uwsgi.websocket_recv())
    except OSError:                                            # it was closed
        return []
