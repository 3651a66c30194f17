"""Which release of the application this is, so that a leak that came with one is told as that.

PLIMSOLL_RELEASE says it; or PLIMSOLL_RELEASE_VARIABLE names the variable that does (GIT_COMMIT, HEROKU_SLUG_COMMIT...). Without them it
is a hash of the application's own modules as they are on disk when the worker is ready: other code, another hash.
"""
import hashlib
import os
import sys

from .capture import bare, ownership

MOST_FILES, MOST_BYTES, LONGEST = 3000, 32 << 20, 100


def told(environ=os.environ):
    text = environ.get("PLIMSOLL_RELEASE") or environ.get(environ.get("PLIMSOLL_RELEASE_VARIABLE") or "")
    return text[:LONGEST] if text else None


def of_code():
    """None where no module is the application's."""
    own = ownership.Own()
    files = {(bare.attributes(module) or {}).get("__file__") for module in list(sys.modules.values())}
    files = sorted(file for file in files if type(file) is str and file.endswith(".py") and own.has(file))
    digest, left = hashlib.sha256(), MOST_BYTES
    for file in files[:MOST_FILES]:
        try:
            with open(file, "rb") as source:
                content = source.read(left)
        except OSError:
            continue
        left -= len(content)
        digest.update(os.path.basename(file).encode("utf-8", "replace") + b"\0" + content)
        if left <= 0:
            break
    return "code-" + digest.hexdigest()[:12] if files else None


_found = None


def current():
    """Looked up once: when the application is there."""
    global _found
    if _found is None:
        _found = told() or of_code() or ""
    return _found or None
