"""The captures as commands: what each step finds is sent at once, and a step that fails or has no time left costs only itself.

    A  before the drain: at most 50 ms of pause     stacks, requests in flight, gc, memory
    B  drained but alive: seconds                   trace, stacks, what is open, cycles, census, retainers, malloc
"""
import gc
import json
import sys

from .. import memory, native
from ..task import Abandoned, CommandError
from . import boot, census, cycles, functions, graph, heap, lines, malloc, native_code, opened, ours, retainers, siblings, speedscope, stacks, trace

RECENT = 300000                             # objects, among which the fastest-growing types' are found
CENSUS_BUDGET, RETAINERS_BUDGET = 2.0, 1.0  # seconds, however far the deadline: a successor waits for this worker's memory
SERVING_BUDGET = 5.0                        # seconds: the census gives way to requests
MARGIN = 0.5                                # of the deadline, kept for the answer


def capture_a(task):
    began = native.monotonic()
    text, requests = stacks.collect()
    task.file("stacks.txt", text)
    return {"gc": gc_numbers(), "memory": memory.numbers(), "threads": len(sys._current_frames()), "requests": requests,
            "boot_census": boot.census() is not None, "phase_a_seconds": native.monotonic() - began}


def gc_numbers():
    return {"enabled": gc.isenabled(), "automatic": cycles.automatic(), "count": gc.get_count(), "threshold": gc.get_threshold(),
            "generations": gc.get_stats(), "frozen": gc.get_freeze_count(), "garbage": len(gc.garbage)}


def trace_start(task):
    args = task.args
    headroom = args.get("headroom")
    try:
        window = trace.start(int(args.get("frames") or trace.FRAMES), float(args.get("seconds") or trace.SECONDS),
                             int(args.get("own_memory") or trace.OWN_MEMORY), lambda: not task.answered,
                             float(headroom) if type(headroom) in (int, float) else None)
    except trace.Refused as refusal:
        raise CommandError(str(refusal))
    if window is None:
        raise Abandoned()
    task.if_unheard = lambda: trace.cancel(window)
    return {}


def trace_stop(task):
    taken = trace.stop(serves=True)
    if taken is None:
        raise CommandError("no trace is on: it was never started, or it ended by itself")
    return send_trace(task, taken)


def send_trace(task, taken):
    ranked, merged = trace.analyse(taken.traces, int(task.args.get("top") or 20), taken.held, taken.limit)
    growth = task.args.get("growth") or {}
    requests = int(task.args.get("requests") or 0) * taken.share        # they come evenly, as far as we know
    lines.reconcile(ranked, requests, growth.get("low"), growth.get("high"), taken.collected)
    cut, exceeds = lines.are_cut(ranked, growth.get("low")), lines.exceeding(ranked, growth.get("high"))
    names = functions.Names()
    functions.name_lines(ranked, names)         # first: there is a time for it
    task.file("lines.json", json.dumps(ranked, indent=1))
    if growth:                              # what the worker grows by is known: only what agrees with it is told as a line
        ranked = [line for line in ranked if line["claimed"]]
    task.file("trace.folded", trace.folded(merged, names))
    task.file("trace.speedscope.json", speedscope.of(merged, "allocations that survived %.1f s" % (taken.seconds * taken.share), names))
    task.file("trace.snapshot", trace.snapshot(taken.traces, taken.limit))
    return {"lines": ranked, "seconds": taken.seconds, "cpu_seconds": taken.cpu, "traces": len(taken.traces),
            "window": {"collected": taken.collected, "share": taken.share, "frames": taken.limit, "cut": cut, "exceeds": exceeds,
                       "frozen": gc.get_freeze_count()},
            "libraries": native_code.loaded()}


def trim(task):
    before, info = memory.statm(), malloc.info()
    gc.collect()
    if not malloc.trim():
        raise CommandError("this C library has no malloc_trim")
    return {"memory": {"before": before, "after": memory.statm()}, "mallinfo": info, "mallinfo_after_trim": malloc.info()}


def what_is_open(task):
    return {"open": opened.everything()}


def count_types(task):
    """Of a worker that serves, and goes on to do so: what gc.freeze() has put away stays there."""
    if not heap.is_listed_at_once():
        raise CommandError("its heap is too large to be counted while it serves")
    began = native.monotonic()
    counted = census.take(min(SERVING_BUDGET, task.left() - MARGIN), polite=True)[0]
    if not counted.looked_into:
        raise CommandError("there was no time to count all objects")
    return {"types": siblings.largest(counted, int(task.args.get("types") or 200)), "objects": counted.objects, "looked_into": counted.looked_into,
            "frozen": counted.frozen, "seconds": native.monotonic() - began}


class Steps:
    """Runs the steps of phase B one by one; what went wrong is part of the evidence."""

    def __init__(self, task):
        self.task = task
        self.data = {"missed": {}}

    def run(self, name, step):
        if self.task.left() < MARGIN:
            self.data["missed"][name] = "no time"
            return
        try:
            step()
        except (Abandoned, OSError):
            raise                           # the proxy has its answer, or is gone
        except Exception as error:
            self.data["missed"][name] = "%s: %s" % (type(error).__name__, error)


def capture_b(task):
    """The order is by worth for its time: what the trace knows first, then what a walk of the heap finds. Mostly the worker ends soon, and
    what gc.freeze() was to keep shared need be so no longer; of one that may serve again it is frozen anew, however the capture ends."""
    frozen = gc.get_freeze_count()
    try:
        return _capture_b(task, frozen)
    finally:
        if frozen and task.args.get("serves_on"):
            gc.freeze()


def _capture_b(task, frozen):
    began, steps = native.monotonic(), Steps(task)
    data, at_boot = steps.data, boot.census()
    if at_boot is None or not at_boot.frozen:           # else what it didn't count would be taken for growth
        gc.unfreeze()
    if at_boot is None and boot.why_none:
        data["missed"]["census at boot"] = boot.why_none
    data["memory"] = {"before": memory.numbers()}
    data["lines"], data["types"], data["containers"], data["retainers"] = [], [], [], []

    def look_for_cycles():                  # once, by the first who collects: the next would find none
        data["cycles"] = cycles.collect(wholly=trace.on())

    def traced():
        taken = trace.stop(collect=look_for_cycles) if task.args.get("trace", True) else None
        if taken is not None:
            data.update(send_trace(task, taken))

    def drained_stacks():
        task.file("stacks-drained.txt", stacks.collect()[0])

    def collect():
        if "cycles" not in data:
            look_for_cycles()
        data["collected"] = data["cycles"]["unreachable"]
        data["memory"]["after_collect"] = memory.statm()

    def look_at_what_is_open():
        data["open"] = opened.everything()

    def count():
        look_at_heap(task, data)

    def allocator():
        data["mallinfo"] = malloc.info()
        if malloc.trim():
            data["memory"]["after_trim"] = memory.statm()
            data["mallinfo_after_trim"] = malloc.info()

    for name, step in (("trace", traced), ("stacks", drained_stacks), ("open", look_at_what_is_open), ("collect", collect), ("census", count),
                       ("allocator", allocator)):
        steps.run(name, step)
    data["gc"] = dict(gc_numbers(), frozen=frozen)
    data["libraries"] = native_code.loaded()
    data["phase_b_seconds"] = native.monotonic() - began
    return data


def look_at_heap(task, data):
    top = int(task.args.get("top") or 20)
    budget = min(CENSUS_BUDGET, task.left() / 2) - census.RECORDS_BUDGET
    now, objects, containers = census.take(max(0.0, budget))
    before = boot.census()
    gc.unfreeze()                           # the collector must know who holds what
    data["types"] = census.growth(now, before, top)
    grown = census.grown_containers(containers, before, 10)
    everything, at_boot = now.table(), None if before is None else before.table()
    sibling = siblings.Sibling(task.args.get("sibling"))
    against = sibling.differences(everything, data["types"], now.frozen)
    if against is not None:
        data["against_sibling"] = against
    targets, titles = suspects(objects, grown, data["types"])
    seen, looked_into = now.objects, now.looked_into
    del objects[:], containers, now
    search = retainers.Search([targets, titles, grown, everything], native.monotonic() + min(RETAINERS_BUDGET, max(0.0, task.left() - MARGIN) / 2))
    chains = search.chains(targets)
    data["retainers"] = merged(titles, chains)
    for container, chain in zip(grown, chains):
        data["containers"].append({"kept_by": chain, "type": census.name_of(type(container.thing)), "length": container.length,
                                   "grown": None if before is None else container.grown, "bytes": container.bytes,
                                   "contents": {name: {"count": count, "bytes": size} for name, (count, size)
                                                in sorted(container.contents.items(), key=lambda item: -item[1][1])[:5]}})
    task.file("census.json", json.dumps({"objects": seen, "looked_into": looked_into, "growth": data["types"],
                                         "containers": data["containers"], "now": everything, "boot": at_boot,
                                         "sibling": sibling.types, "sibling_requests": sibling.requests, "against_sibling": against}, indent=1))
    if any(chains):
        picture = graph.tree(titles, chains)
        task.file("retainers.dot", graph.dot(picture))
        task.file("retainers.svg", graph.svg(picture))
    task.file("retainers.txt", "\n".join(data["retainers"]) + "\n" if data["retainers"] else "none found\n")


def merged(titles, chains):
    """Equal chains once, with how many of the objects that were looked at hang on it."""
    sampled, kept = {}, {}
    for title, chain in zip(titles, chains):
        sampled[title] = sampled.get(title, 0) + 1
        if chain:
            kept[title, chain] = kept.get((title, chain), 0) + 1
    return ["%s: %s" % key + (" (%d of %d)" % (count, sampled[key[0]]) if sampled[key[0]] > 1 else "") for key, count in kept.items()]


def suspects(objects, grown, types, of_each=3):
    """Whose retainers are looked for: the containers that have grown, then some objects of the types that have grown most, of as many recent
    ones as have been added. The collector keeps its objects about in the order of their age."""
    targets = [container.thing for container in grown]
    titles = ["%s of %d" % (census.name_of(type(container.thing)), container.length) for container in grown]
    least = types[0]["delta_bytes"] / 10 if types else 0
    wanted = {row["type"]: row["delta"] for row in types[:6] if row["delta"] > 0 and row["delta_bytes"] > least}
    recent, names = {name: [] for name in wanted}, {}
    known = set(map(id, targets)) | set(map(id, ours.things()))
    for thing in objects[:-RECENT:-1]:
        kind = type(thing)
        name = names.get(kind) or names.setdefault(kind, census.name_of(kind))
        if name in recent and len(recent[name]) < wanted[name] and id(thing) not in known:
            recent[name].append(thing)
    for name, found in recent.items():
        count = min(of_each, len(found))
        targets.extend(found[(2 * number + 1) * len(found) // (2 * count)] for number in range(count))
        titles.extend([name] * count)
    return targets, titles
