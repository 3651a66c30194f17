"""A trace as https://www.speedscope.app opens it, offline too: one sampled profile whose weights are bytes that survived."""
import json

from . import functions

MOST_STACKS = 5000                          # the largest; JSON is written in one piece, with the interpreter held


def of(stacks, title, names=None):
    """stacks: [frames innermost first, bytes, count]"""
    names = names or functions.Names()
    index, frames, samples, weights = {}, [], [], []
    for stack, size, _ in sorted(stacks, key=lambda entry: -entry[1])[:MOST_STACKS]:
        sample = []
        for place in reversed(stack):
            if place not in index:
                index[place] = len(frames)
                name = names.of(*place) or "%s:%d" % (functions.short_path(place[0]), place[1])
                frames.append({"name": name, "file": place[0], "line": place[1]})
            sample.append(index[place])
        samples.append(sample)
        weights.append(size)
    return json.dumps({
        "$schema": "https://www.speedscope.app/file-format-schema.json", "exporter": "plimsoll", "name": title, "activeProfileIndex": 0,
        "shared": {"frames": frames},
        "profiles": [{"type": "sampled", "name": title, "unit": "bytes", "startValue": 0, "endValue": sum(weights),
                      "samples": samples, "weights": weights}]})
