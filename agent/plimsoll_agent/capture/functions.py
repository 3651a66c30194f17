"""Which function a line belongs to: looked up in the code that is loaded, since nothing is read, compiled or imported for it.

The functions of the module with that file, those inside them, those of its classes, and those behind decorators. Lines of a module
itself have none; what cannot be reached from the module's names has none either.
"""
import sys
import types

from . import bare

MOST = 20000                                # things of one file that are looked at


def name_lines(lines):
    """Adds `function` (text or None) to each of [{file, line, ...}]."""
    known = {}
    for line in lines:
        codes = known.get(line["file"])
        if codes is None:
            codes = known[line["file"]] = _codes_in(line["file"])
        around = [code for code in codes if code.co_firstlineno <= line["line"] <= _last_line(code)]
        named = [code for code in around if not code.co_name.startswith("<")]       # no comprehension, no lambda
        innermost = max(named, key=lambda code: code.co_firstlineno, default=None)
        name = getattr(innermost, "co_qualname", None) or getattr(innermost, "co_name", None)
        line["function"] = name and name.replace(".<locals>", "")
    return lines


def _codes_in(file):
    found, seen, left = [], set(), []
    for module in list(sys.modules.values()):
        names = bare.attributes(module) or {}
        if names.get("__file__") == file:
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
