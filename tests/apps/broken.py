"""Imported by the applications here: a release that cannot be imported, as long as the file named by BROKEN exists."""
import os

if os.environ.get("BROKEN") and os.path.exists(os.environ["BROKEN"]):
    raise ImportError("cannot import name 'settings': this release is broken")
