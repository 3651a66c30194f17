#!/usr/bin/env python3
"""Arrows run one way: which folder may include which (docs/architecture.md). A folder that is not in the table is told, too."""
import pathlib
import re
import sys

PURE = {"include/core", "include/policy", "include/leak", "include/fleet"}
MAY_INCLUDE = {
    "include/core": set(),
    "include/policy": {"include/core"},
    "include/leak": {"include/core"},
    "include/fleet": {"include/core", "include/policy"},
    "core": {"include/core"},
    "policy": {"include/core", "include/policy"},
    "leak": {"include/core", "include/leak"},
    "fleet/pure": {"include/core", "include/policy", "include/fleet"},
    "sim": PURE,
    "config": PURE,
    "log": PURE | {"config"},
    "sense": PURE,
    "net/http": PURE,
    "store": PURE,
    "net": PURE | {"config", "log", "sense", "net/http"},
    "fleet": PURE | {"config", "log", "sense", "net", "net/http", "store"},
    "admin": PURE | {"config", "log", "sense", "net", "net/http", "store", "fleet"},
    "cli": PURE | {"config", "sim"},
    "asio": set(),
}
MAY_INCLUDE["app"] = set(MAY_INCLUDE) - {"asio"}        # wires all of them


def folder_of(parts, default):
    """Of `parts`, the path of a header or a source below src, or as an #include names it."""
    if parts[0] == "plimsoll":
        return "include/" + parts[1]
    if len(parts) == 1:
        return default
    return "/".join(parts[:2]) if parts[:2] in (["net", "http"], ["fleet", "pure"]) else parts[0]


def main():
    root, found = pathlib.Path(__file__).parent.parent, []
    for file in sorted([*root.glob("src/**/*.[ch]pp"), *root.glob("include/**/*.hpp")]):
        own = folder_of(list(file.relative_to(root).parts[1:]), "app")
        if own not in MAY_INCLUDE:
            found.append("%s: a folder that tests/layers.py does not know" % file.relative_to(root))
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            include = re.match(r'\s*#include "([^"]+)"', line)
            to = include and folder_of(include.group(1).split("/"), "app")
            if to and to != own and to not in MAY_INCLUDE[own]:
                found.append("%s:%d: %s may not include %s" % (file.relative_to(root), number, own, include.group(1)))
    print("\n".join(found) or "layers: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
