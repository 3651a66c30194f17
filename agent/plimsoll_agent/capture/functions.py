"""Which function a line belongs to: looked up in the code that is loaded, since nothing is read, compiled or imported for it.

The functions of the module with that file, those inside them, those of its classes, and those behind decorators. Lines of a module
itself have none; what cannot be reached from the module's names has none either.
"""
import os
import sys
import types

from .. import native
from . import bare

MOST = 20000                                # things of one file that are looked at
BUDGET = 0.5                                # seconds: a profile has lines of hundreds of files, and may be of a worker that serves


class Names:
    """Of the lines of one analysis."""

    def __init__(self):
        self._ends, self._modules, self._spans, self._known = native.monotonic() + BUDGET, {}, {}, {}
        for module in list(sys.modules.values()):
            names = bare.attributes(module) or {}
            if type(names.get("__file__")) is str:
                self._modules.setdefault(names["__file__"], []).append(names)

    def of(self, file, line):
        """The innermost function around a line, no comprehension and no lambda; None where it cannot be found, or not in time."""
        place = file, line
        if place not in self._known:
            around = [span for span in self._of_file(file) if span[0] <= line <= span[1]]
            self._known[place] = max(around, default=(0, 0, None))[2]
        return self._known[place]

    def _of_file(self, file):
        """[(first line, last line, name)]"""
        if file not in self._spans:
            codes = _codes(file, self._modules.get(file, ())) if native.monotonic() < self._ends else ()
            self._spans[file] = [(code.co_firstlineno, _last_line(code), getattr(code, "co_qualname", code.co_name).replace(".<locals>", ""))
                                 for code in codes if not code.co_name.startswith("<")]
        return self._spans[file]


def name_lines(lines, names=None):
    """Adds `function` (text or None) to each of [{file, line, ...}]."""
    names = names or Names()
    for line in lines:
        line["function"] = names.of(line["file"], line["line"])
    return lines


def short_path(file):
    """Its last two parts: a project has many views.py."""
    return "/".join(part for part in file.split(os.sep)[-2:] if part)


def _codes(file, modules):
    found, seen, left = [], set(), []
    for names in modules:
        left.extend(names.values())
    while left and len(seen) < MOST:
        thing = left.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if type(thing) is types.CodeType:
            if thing.co_filename == file:
                found.append(thing)
                left.extend(const for const in thing.co_consts if type(const) is types.CodeType)
        else:
            left.extend(_behind(thing))
    return found


def _behind(thing):
    """What may hold more functions. Never an attribute that runs the application's code."""
    kind = type(thing)
    if kind is types.FunctionType:
        return [thing.__code__, *_contents(thing.__closure__ or ()), vars(thing).get("__wrapped__")]
    if issubclass(kind, type):
        return list(type.__getattribute__(thing, "__dict__").values())
    if kind in (staticmethod, classmethod):
        return [thing.__func__]
    if kind is property:
        return [thing.fget, thing.fset, thing.fdel]
    own = bare.attributes(thing) or {}
    return [own["__wrapped__"]] if "__wrapped__" in own else []


def _contents(cells):
    for cell in cells:
        try:
            yield cell.cell_contents
        except ValueError:                  # empty so far
            pass


def _last_line(code):
    if hasattr(code, "co_lines"):           # 3.10
        return max((line for _, _, line in code.co_lines() if line is not None), default=code.co_firstlineno)
    line = last = code.co_firstlineno
    for step in code.co_lnotab[1::2]:
        line += step - 256 if step >= 128 else step
        last = max(last, line)
    return last
