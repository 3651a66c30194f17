#!/usr/bin/env python3
"""Writes fuzz seeds from tests/corpus/http: seeds.py DIRECTORY makes DIRECTORY/{heads,chunks,uwsgi}, one file a case."""
import pathlib
import re
import sys

corpus = pathlib.Path(__file__).resolve().parent.parent / "corpus" / "http"
simple = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}


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
    for target in ("heads", "chunks", "uwsgi"):
        (root / target).mkdir(parents=True, exist_ok=True)
    for name, raw in cases(corpus / "requests.txt"):
        (root / "heads" / name).write_bytes(b"\1" + raw)
        (root / "uwsgi" / name).write_bytes(b"\0" + raw)
        head, end, body = raw.partition(b"\r\n\r\n")
        if b"chunked" in head:
            (root / "chunks" / name).write_bytes(b"\1" + body)
    for name, raw in cases(corpus / "responses.txt"):
        choice = 2 * ("head" in name) + 4 * ("upgrade" in name)
        (root / "heads" / ("response_" + name)).write_bytes(bytes([choice]) + raw)


main()
