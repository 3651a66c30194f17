"""A leaking worker's census against that of a sibling that does not leak: what both have is the application's, what only this one has is the leak.

The proxy asks the sibling (`census`) and hands its answer on. It has the sibling's largest types only, so a type that is not in it counts
as none, which is wrong by less than the least of them.
"""
MOST_TYPES, LONGEST = 1000, 300             # of an answer, which has to fit into a frame


def largest(counted, most):
    """{type: {count, bytes}}: what is told to others."""
    fitting = [name for name in counted.counts if len(name) <= LONGEST and not name.startswith("plimsoll_agent.")]
    names = sorted(fitting, key=lambda name: -counted.bytes.get(name, 0))[:max(1, min(most, MOST_TYPES))]
    return {name: {"count": counted.counts[name], "bytes": counted.bytes.get(name, 0)} for name in names}


class Sibling:
    def __init__(self, told):
        """told: {type: {count, bytes}, ..., requests: N, frozen: N}, or nothing that can be used."""
        told = told if type(told) is dict else {}
        self.types = {name: {"count": each["count"], "bytes": each["bytes"]} for name, each in told.items()
                      if type(each) is dict and all(type(each.get(key)) in (int, float) for key in ("count", "bytes"))} or None
        self.requests = told.get("requests") if type(told.get("requests")) in (int, float) else None
        self.frozen = bool(told.get("frozen"))

    def differences(self, now, rows, frozen):
        """[{type, delta, delta_bytes}] of the types in `rows`. None without a sibling, or where only one of the two left out what is frozen."""
        if self.types is None or self.frozen and not frozen:
            return None
        none = {"count": 0, "bytes": 0}
        return [{"type": row["type"], "delta": now[row["type"]]["count"] - self.types.get(row["type"], none)["count"],
                 "delta_bytes": now[row["type"]]["bytes"] - self.types.get(row["type"], none)["bytes"]} for row in rows]
