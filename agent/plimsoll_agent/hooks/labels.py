"""Route labels: the framework's own pattern of what a request hit, told to the proxy in `X-Plimsoll-Route`, which it strips.

    Flask      /orders/<int:id>             \\
    Django     ^orders/(?P<id>[0-9]+)/$      >   GET /orders/{id}
    Starlette  /orders/{id:int}             /

Paths have no bound, patterns do, and nobody but the framework knows them for sure. One spelling for all of them, so that a label
stays the same when an application moves. Each pattern is rewritten once; a request costs a look-up in a table that has a bound.
"""
import os
import re

HEADER = "X-Plimsoll-Route"
LONGEST = 200                               # of a label; what is longer helps nobody at a dashboard
MOST = 4096                                 # patterns of an application that are remembered

_known = {}
_METHOD = re.compile(r"[A-Z]{1,16}\Z")
_FLASK = re.compile(r"<(?:[^<>:]*:)?([^<>:]+)>")
_STARLETTE = re.compile(r"{([^{}:]+):[^{}]*}")
_NAME = re.compile(r"\?P<(\w+)>")


def switched_off():
    return os.environ.get("PLIMSOLL_ROUTES", "").lower() in ("off", "no", "0", "false")


def label(method, pattern, spell):
    """The header's value; None where the request matched nothing or its method is none of the usual."""
    if not isinstance(pattern, str) or not isinstance(method, str) or not _METHOD.match(method):
        return None
    path = _known.get((spell, pattern))
    if path is None:
        path = _printable(spell(pattern))
        if len(_known) < MOST:
            _known[spell, pattern] = path
    return method + " " + path


def _printable(path):
    """A header can hold no line feed and, as WSGI has it, nothing beyond Latin-1."""
    return "".join(each if " " < each <= "~" else "?" for each in path)[:LONGEST]


def angle(pattern):
    """Flask's rules, and Django's path()."""
    return _rooted(_FLASK.sub(r"{\1}", pattern))


def brace(pattern):
    """Starlette's and FastAPI's."""
    return _rooted(_STARLETTE.sub(r"{\1}", pattern))


def django(pattern):
    """path(), re_path(), and an include() of one in the other: Django joins their texts."""
    return angle(_without_groups(pattern)) if any(sign in pattern for sign in "^$(\\") else angle(pattern)


def _without_groups(pattern):
    """Of a regular expression its literal text, with a placeholder for each outermost group. A group that only looks ahead, or is
    not captured, is shown as {} as well: what it matches varies all the same."""
    text, depth, began, index = [], 0, 0, 0
    while index < len(pattern):
        sign = pattern[index]
        if sign == "\\":
            following = pattern[index + 1:index + 2]
            if not depth and not following.isalnum():
                text.append(following)
            index += 2
            continue
        if sign == "[" and depth:           # brackets in a character class count for nothing
            end = pattern.find("]", index + 2)
            index = end if end > 0 else index
        elif sign == "(":
            began = began if depth else index
            depth += 1
        elif sign == ")" and depth:
            depth -= 1
            if not depth:
                name = _NAME.match(pattern, began + 1)
                text.append("{%s}" % (name.group(1) if name else ""))
        elif not depth and sign not in "^$?*+":
            text.append(sign)
        index += 1
    return "".join(text)


def _rooted(path):
    return path if path.startswith("/") else "/" + path
