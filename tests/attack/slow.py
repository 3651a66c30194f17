#!/usr/bin/env python3
"""slowhttptest's four attacks, with 1,000 connections each: what do they cost those who mean well, and the workers?

    tests/attack/slow.py [--connections 1000] [--seconds 12]

Per attack it prints the p99 of a paced client without and with it, measured in turns, the ratio, and what the worker saw of the
attackers: how many of their requests, and for how long the longest one held it.
"""
import argparse
import asyncio
import http.client
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.proxy import Proxy, free_port  # noqa: E402

ATTACKS = ("headers", "body", "read", "range")
LARGE = b"x" * (128 << 10)


async def origin(port):
    """A worker: /large for those who read slowly, /told for what it saw of them."""
    told = {"requests": 0, "longest": 0.0}

    async def serve(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
                began = time.monotonic()
                if length:
                    await reader.readexactly(length)
                body = LARGE if b" /large " in head else json.dumps(told).encode() if b" /told " in head else b"y" * 128
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
                if b"x-attack" in head.lower():
                    told["requests"] += 1
                    told["longest"] = max(told["longest"], time.monotonic() - began)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20) as server:
        await server.serve_forever()


async def attacker(kind, port, delay, until):
    """One connection, opened again when it is cut while it sends, that gives or takes a little once a second."""
    await asyncio.sleep(delay)
    start = "%s %s HTTP/1.1\r\nHost: a\r\nX-Attack: 1\r\n"
    ranges = ",".join("5-%d" % end for end in range(1, 1300))
    first = {"headers": start % ("GET", "/"),
             "body": start % ("POST", "/") + "Content-Length: 1000000\r\n\r\n",
             "read": 3 * (start % ("GET", "/large") + "\r\n"),
             "range": start % ("HEAD", "/") + "Range: bytes=0-,%s\r\n\r\n" % ranges}[kind].encode()
    loop = asyncio.get_running_loop()
    while time.monotonic() < until:
        connection = socket.socket()
        connection.setblocking(False)
        if kind == "read":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await loop.sock_connect(connection, ("127.0.0.1", port))
            await loop.sock_sendall(connection, first)
            while time.monotonic() < until:
                await asyncio.sleep(1)
                if kind in ("headers", "body"):
                    await loop.sock_sendall(connection, b"X-%d: b\r\n" % (time.monotonic_ns() % 1000))
                elif not await asyncio.wait_for(loop.sock_recv(connection, 32), until - time.monotonic()):
                    return
        except (OSError, asyncio.TimeoutError):
            await asyncio.sleep(1)
        finally:
            connection.close()


async def attack(kind, port, connections, seconds):
    until = time.monotonic() + seconds
    await asyncio.gather(*[attacker(kind, port, number / 250, until) for number in range(connections)])


def paced(address, seconds, rate=200):
    """Latencies of one well-behaved client on a kept connection, from when each request was due."""
    connection, latencies, failed = None, [], 0
    began = time.monotonic()
    for number in range(int(seconds * rate)):
        due = began + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            connection = connection or http.client.HTTPConnection(*address, timeout=10)
            connection.request("GET", "/")
            response = connection.getresponse()
            response.read()
            failed += response.status != 200
        except (OSError, http.client.HTTPException):
            failed, connection = failed + 1, None
        latencies.append(time.monotonic() - due)
    latencies.sort()
    return latencies, failed


def p99(latencies):
    latencies = sorted(latencies)
    return latencies[int(len(latencies) * 0.99)] * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--role", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    if options.role:
        role, port = options.role[0], int(options.role[-1])
        asyncio.run(origin(port) if role == "origin" else attack(role, port, options.connections, options.seconds))
        return 0

    proxy = Proxy()
    again = lambda *role: [sys.executable, __file__, "--connections", str(options.connections), "--seconds", str(options.seconds), "--role", *role]
    worker = free_port()
    try:
        proxy.beside(again("origin", str(worker)))
        proxy.configure({"log": {"level": "info"},
                         "pool": [{"name": "app", "source": {"kind": "static", "addresses": ["127.0.0.1:%d" % worker], "slots": 4}}]})
        proxy.start()
        proxy.wait_serving(1)
        ask = lambda: json.loads(proxy.get("/told").body)
        print("%-8s %12s %12s %7s %7s   %s" % ("attack", "p99 without", "p99 with", "ratio", "failed", "the worker saw of the attackers"))
        paced(proxy.address, 2)
        worst, in_all = 0.0, 0
        for kind in ATTACKS:
            before = ask()
            quiet, failed = paced(proxy.address, options.seconds / 2)
            attackers = subprocess.Popen(again(kind, str(proxy.port)))
            time.sleep(0.5)
            loud, lost = paced(proxy.address, options.seconds - 1)
            attackers.wait()
            more, failed_too = paced(proxy.address, options.seconds / 2)
            after = ask()
            without, with_it = p99(quiet + more), p99(loud)
            worst = max(worst, with_it / without)
            in_all += failed + lost + failed_too
            print("%-8s %9.2f ms %9.2f ms %7.2f %7d   %d requests, the longest %.1f ms" % (
                kind, without, with_it, with_it / without, failed + lost + failed_too, after["requests"] - before["requests"],
                after["longest"] * 1000))
        print("worst ratio: %.2f (bar: 2)" % worst)
        proxy.stop()
        return 1 if in_all else 0
    finally:
        proxy.clean_up()


sys.exit(main())
