"""Plain data to TOML, as far as a configuration needs it."""
import json


def value(item):
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return json.dumps(item)
    if isinstance(item, (list, tuple)):
        return "[" + ", ".join(value(each) for each in item) + "]"
    return repr(item)


def dumps(table, name=""):
    plain, nested = [], []
    for key, item in table.items():
        inner = name + "." + key if name else key
        if isinstance(item, dict):
            nested.append("[%s]\n%s" % (inner, dumps(item, inner)))
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            nested.extend("[[%s]]\n%s" % (inner, dumps(each, inner)) for each in item)
        else:
            plain.append("%s = %s\n" % (key, value(item)))
    return "".join(plain) + "".join(nested)
