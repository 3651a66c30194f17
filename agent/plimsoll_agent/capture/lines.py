"""From surviving allocations to lines that may be accused.

    stacks -> fold each to the application's line that keeps it -> bytes a request -> reconcile with the worker's growth

The innermost frame is often a library's (json.decoder, an ORM's row), which nobody can mend there: so the first frame of a stack that
is neither the standard library's nor an installed package's (ownership.py) gets the bytes, or, where that one only hands on what it made
(keeper.py), the caller that keeps it. The largest whole traceback stays beside it.

That bytes survive a window is no proof: a cache that churns has survivors too. Where most of a line's bytes only took the place of
others (holders.py) it is never claimed. And the proxy knows by how much the worker grows a
request. A line is `claimed` where it explains its part of that growth, from a tenth to one and a half times; and only where the claimed
lines together explain half of it, or three tenths if containers were seen to grow by them. So a leak of C code, of which tracemalloc sees nothing, gets no line, and neither does an innocent.

A stack as long as the limit without a frame of the application's may have one further out (an ORM goes twenty frames deep). Whose its bytes
are is not known: all such stacks are one line, `cut`. It counts for what Python explains of the growth, and is never claimed itself.
"""
from . import keeper, ownership

LEAST, MOST = 0.1, 1.5                      # of the growth a request
TOGETHER, TOGETHER_SEEN = 0.5, 0.3          # the second where containers were seen to grow by what the lines allocate
CUT = None
MOST_STACKS = 5000                          # the largest: to find whose line it is takes longer than to add up


def is_agents(frames):
    """Of an allocation: the agent made it, or the standard library on its behalf. That a hook of the agent's stands further out, around
    the whole application, says nothing."""
    for file, _ in frames:
        if file.startswith(ownership.PACKAGE):
            return True
        if not ownership.is_standard(file):
            return False
    return False


class Places:
    """Of a stack, the place that answers for it."""

    def __init__(self):
        self._own, self._known, self._sources = ownership.Own(), {}, keeper.Sources()

    def is_own(self, file):
        if file not in self._known:
            self._known[file] = self._own.has(file)
        return self._known[file]

    def is_cut(self, frames, limit):
        return limit is not None and len(frames) >= limit and not any(self.is_own(file) for file, _ in frames)

    def of(self, frames):
        passed = doubtful = None
        for frame in frames:
            if not self.is_own(frame[0]):
                continue
            verdict = self._sources.verdict(*frame)
            if verdict == keeper.KEEPS and passed is not None and not (doubtful and self._sources.lets_go(*frame)):
                return frame[0], self._sources.storing(*frame)
            if verdict != keeper.HANDS_ON:  # what was handed on to here is hardly kept here: somebody on the way has kept it
                return doubtful or passed or frame
            passed = passed or frame
            if doubtful is None and self._sources.is_doubtful(*frame):
                doubtful = frame
        return doubtful or passed or outside_python(frames)     # handed on to the end: to the framework, or beyond the frames that are kept


def outside_python(frames):
    """Where none is the application's: the innermost library says more than the standard one that it uses."""
    return next((frame for frame in frames if not ownership.is_standard(frame[0]) and not frame[0].startswith(ownership.PACKAGE)), frames[0])


def fold(stacks, top, held=None, limit=None):
    """stacks: [frames innermost first, bytes, count]; held: frames -> added or replaced; limit: of frames that a stack has. The lines by
    bytes; of those that are cut the place is the largest stack's."""
    folded, places, held = {}, Places(), held or {}
    for frames, size, count in sorted(stacks, key=lambda stack: -stack[1])[:MOST_STACKS]:
        place = CUT if places.is_cut(frames, limit) else places.of(frames)
        entry = folded.setdefault(place, [0, 0, 0, frames, 0, 0])
        entry[0] += size
        entry[1] += count
        if size > entry[2]:
            entry[2:4] = [size, frames]
        if frames in held:
            entry[4 if held[frames] else 5] += size
    told = []
    for place, (size, count, _, frames, added, replaced) in sorted(folded.items(), key=lambda item: -item[1][0])[:top]:
        file, line = outside_python(frames) if place is CUT else place
        told.append({"file": file, "line": line, "bytes": size, "count": count, "added": added, "replaced": replaced, "cut": place is CUT,
                     "traceback": ["%s:%d" % frame for frame in frames]})
    return told


def are_cut(lines, low):
    """Of reconciled lines: what was cut may be what leaks, so that no line claimed says nothing of C code."""
    return bool(low) and any(line["cut"] and line["replaced"] <= line["added"] and line["bytes_per_request"] >= TOGETHER_SEEN * low for line in lines)


def exceeding(lines, high):
    """Of reconciled lines, the largest that only adds and keeps more than the growth: it is let go later than the window, so that it is
    not claimed, and C code is not to be named either."""
    for line in lines:
        if high and not line["claimed"] and not line["cut"] and 2 * line["added"] >= line["bytes"] and line["bytes_per_request"] > MOST * high:
            return {key: line[key] for key in ("file", "line", "bytes_per_request")}
    return None


def reconcile(lines, requests, low, high, collected=True):
    """Adds bytes_per_request and claimed. low and high: the worker's growth a request, or a route's with its share of the requests;
    without them nothing is claimed. Where the heap was not collected before the traces were taken, cycles that the collector will free are
    among the survivors: only what a container was seen to grow by is claimed then."""
    for line in lines:
        line["bytes_per_request"] = round(line["bytes"] / requests, 1) if requests > 0 else 0.0
        line["claimed"] = False
    if requests <= 0 or not low or not high or low <= 0:
        return lines
    claimed = [line for line in lines if line["replaced"] <= line["added"] and not line["file"].startswith("<")     # nobody can mend that
               and LEAST * low <= line["bytes_per_request"] <= MOST * high * (1 + 2 / max(1, line["count"]) ** 0.5)]
    seen = [line for line in claimed if 2 * line["added"] >= line["bytes"]]
    if not collected or sum(line["bytes_per_request"] for line in claimed) < TOGETHER * low:
        claimed = seen                      # the rest of the growth may be C code's
    if sum(line["bytes_per_request"] for line in claimed) >= (TOGETHER_SEEN if claimed is seen else TOGETHER) * low:
        for line in claimed:
            line["claimed"] = not line["cut"]
    lines.sort(key=lambda line: (not line["claimed"], -line["bytes"]))
    return lines
