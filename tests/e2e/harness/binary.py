"""The program under test."""
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def binary():
    return Path(os.environ.get("PLIMSOLL_BINARY", ROOT / "build" / "release" / "plimsoll")).resolve()


def sanitized():
    path = binary()
    return path.exists() and any(mark in path.read_bytes() for mark in (b"__asan_init", b"__tsan_init"))
