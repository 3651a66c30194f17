#!/usr/bin/env python3
"""Writes fuzz seeds from tests/corpus/http: seeds.py DIRECTORY makes DIRECTORY/{heads,chunks,uwsgi}, one file a
case, and DIRECTORY/{agents,proxy_protocol} from the messages below."""
import pathlib
import re
import sys

corpus = pathlib.Path(__file__).resolve().parent.parent / "corpus" / "http"
simple = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}


agents = [
    b'\0{"type":"hello","v":1,"token":"t","pool":"app","index":0,"pid":7,"ppid":1,"pid_namespace":4026531836,"threads":4,'
    b'"keep_alive":2.5,"address":"unix:/run/w.sock","age":1,"started_at":1.7e9,"memory_limit":null,"ready":true}',
    b'\0{"type":"sample","rss":1048576,"anon":4096,"cgroup_usage":null,"fds":9}',
    b'\0{"type":"file","id":3,"name":"census.json","data":"e30=","last":true}',
    b'\0{"type":"result","id":3,"ok":false,"error":"busy","data":{"lines":[{"file":"a.py","line":1}]}}',
    b'\0{"type":"exited","pid":7,"status":9,"pool":"app","boot_failed":true}',
    b"\1Zm9vYg==",
    b"\2HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 1\r\n\r\nx",
]


signature = b"\r\n\r\n\0\r\nQUIT\n"
proxied = [
    b"PROXY TCP4 192.0.2.1 192.0.2.9 51000 443\r\nGET /",
    b"PROXY TCP6 2001:db8::1 ::ffff:192.0.2.9 1 65535\r\n",
    b"PROXY UNKNOWN ffff:f...f 65535\r\n",
    signature + b"\x21\x11\x00\x0c" + bytes(12),
    signature + b"\x21\x21\x00\x27" + bytes(36) + b"\x04\x00\x00",
    signature + b"\x21\x31\x00\xd8" + b"/" * 216,
    signature + b"\x20\x00\x00\x00GET /",
]


def unescape(line):
    line = re.sub(r"\\\{(\d+):(.*?)\}", lambda match: match[2] * min(int(match[1]), 300), line)
    line = re.sub(r"\\(x[0-9a-f]{2}|.)",
                  lambda match: simple.get(match[1]) or chr(int(match[1][1:], 16)), line)
    return line.encode("latin-1")


def cases(path):
    name, raw = None, b""
    for line in path.read_text().splitlines() + ["== end | |"]:
        if line.startswith("== "):
            if name:
                yield name, raw
            name, raw = re.sub(r"\W+", "_", line[3:].split(" | ")[0]), b""
        elif line and line[0] not in ">#":
            raw += unescape(line)


def main():
    root = pathlib.Path(sys.argv[1])
    for target in ("heads", "chunks", "uwsgi", "proxy_protocol", "agents"):
        (root / target).mkdir(parents=True, exist_ok=True)
    for name, raw in cases(corpus / "requests.txt"):
        (root / "heads" / name).write_bytes(b"\1" + raw)
        (root / "uwsgi" / name).write_bytes(b"\0" + raw)
        head, end, body = raw.partition(b"\r\n\r\n")
        if b"chunked" in head:
            (root / "chunks" / name).write_bytes(b"\1" + body)
    for target, seeds in (("agents", agents), ("proxy_protocol", proxied)):
        for number, raw in enumerate(seeds):
            (root / target / str(number)).write_bytes(raw)
    for name, raw in cases(corpus / "responses.txt"):
        choice = 2 * ("head" in name) + 4 * ("upgrade" in name)
        (root / "heads" / ("response_" + name)).write_bytes(bytes([choice]) + raw)


main()
