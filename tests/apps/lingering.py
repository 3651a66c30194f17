"""A server of its own on the unix socket argv[1] that takes a tenth of a second to die: between its connections and its listener the
kernel has inotify instances to close, each of which waits for a grace period. Who connects meanwhile is lost with it.

POST /die kills it within the request; everything else is answered with its pid, one request a connection.
"""
import ctypes
import os
import signal
import socket
import sys

INSTANCES, IN_CREATE = 40, 0x100                               # three such processes fit into a user's usual 128
libc = ctypes.CDLL(None, use_errno=True)
listener = socket.socket(socket.AF_UNIX)                       # the kernel closes the youngest descriptor first: this one comes last
listener.bind(sys.argv[1])
listener.listen(64)
for _ in range(INSTANCES):
    if libc.inotify_add_watch(libc.inotify_init(), b"/", IN_CREATE) < 0:
        sys.exit("no inotify instance is left (fs.inotify.max_user_instances): %s" % os.strerror(ctypes.get_errno()))
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
