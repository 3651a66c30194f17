"""Imported by the applications here: a release that takes BOOT_SECONDS to start, and one that can't be imported as long as
the file named by BROKEN exists."""
import os
import time

if os.environ.get("BROKEN") and os.path.exists(os.environ["BROKEN"]):
    raise ImportError("cannot import name 'settings': this release is broken")
time.sleep(float(os.environ.get("BOOT_SECONDS", 0)))
