"""Whose C code is loaded beside Python's own: where a leak that no line explains may be. Names of packages and libraries, no paths."""
import os
import sys

from . import bare, ownership

MOST = 40
SYSTEM = ("ld-linux", "libc.", "libc-", "libm.", "libm-", "libdl", "libpthread", "librt", "libutil", "libpython", "libgcc_s", "libstdc++",
          "libresolv", "libnss_", "libcrypt", "libz.", "libffi", "libexpat", "liblzma", "libbz2", "libssl", "libcrypto", "libuuid", "libsqlite3")


def loaded():
    """Packages with extension modules, then shared libraries that belong to none of them and not to Python."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = (bare.attributes(module) or {}).get("__file__")
        if type(file) is str and ".so" in file and not ownership.is_standard(file):
            found[name.partition(".")[0]] = True
    for path in _mapped():
        name = os.path.basename(path)
        if not (ownership.is_standard(path) or "site-packages" in path or "dist-packages" in path or name.startswith(SYSTEM)):
            found[name] = True
    return list(found)[:MOST]


def _mapped():
    try:
        with open("/proc/self/maps") as rows:
            return sorted({row.split(None, 5)[5].strip() for row in rows if ".so" in row and row.count("/")})
    except (OSError, IndexError):
        return []
