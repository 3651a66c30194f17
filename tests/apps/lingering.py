"""A server of its own on the unix socket argv[1] that takes a fifth of a second to die: between its connections and its listener
the kernel has packet sockets to close, each of which waits for the whole network stack. Who connects meanwhile is lost with it.

POST /die kills it within the request; everything else is answered with its pid, one request a connection. Where it may not
open such sockets (CAP_NET_RAW) it ends with 77.
"""
import os
import signal
import socket
import sys

listener = socket.socket(socket.AF_UNIX)                       # the kernel closes the youngest descriptor first: this one comes last
listener.bind(sys.argv[1])
listener.listen(64)
try:
    slow = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW) for _ in range(20)]
except PermissionError:
    sys.exit(77)
while True:
    connection, _ = listener.accept()
    request = b""
    while b"\r\n\r\n" not in request:
        got = connection.recv(65536)
        if not got:
            break
        request += got
    if request.startswith(b"POST /die"):
        os.kill(os.getpid(), signal.SIGKILL)
    body = b"%d" % os.getpid()
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    connection.close()
