"""What is true of the leak detection, on real processes: applications of its own for every seed, with known truth (apps.py).

    python tests/bench/leaks/run.py [--seed 1] [--count 20] [--recycles 60] [--only lives,lines,costs,captures] [--binary PATH]

lives     COUNT first lives of a worker behind Plimsoll, half of them leak: leak or not, how early, class, bytes, route, lines
lines     10 COUNT applications in a process of their own each: do the lines that the agent claims keep the bytes
costs     idle agent, pauses, trim
captures  RECYCLES recycles of real workers under traffic, one in six of them stuck: what evidence is left

Prints the tables with 95 % intervals, and each miss with its truth above them. Another seed draws other applications.
"""
import argparse
import concurrent.futures
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "e2e"), str(HERE.parents[1] / "apps")]

import apps                                                    # noqa: E402
import costs                                                   # noqa: E402
import habits                                                  # noqa: E402
from figures import Rate, table                                # noqa: E402

LEAK_NAMES = [habit.name for habit in habits.LEAKS]
INNOCENT_NAMES = [habit.name for habit in habits.INNOCENTS]
ENOUGH = 8000                                                  # requests of an innocent's life
FITTING = {"lru": {"cache", "steady", "warming"}, "lru by hand": {"cache", "steady", "warming"}, "sessions": {"steady", "cache", "warming"},
           "warm-up": {"warming", "steady", "cache"}, "sawtooth": {"steady", "cache", "warming"},
           "fragmentation": {"fragmentation", "steady", "cache", "warming"}, "unsharing": {"unsharing", "steady", "warming"}}


def miss(kind, app, text):
    truth = "; ".join("%s, %.0f B a request, %s:%s" % (habit.name, habit.bytes_per_request, os.path.basename(habit.file),
                                                      ",".join(map(str, habit.lines)) or "-") for habit in app.habits)
    print("%s %d %s: %s\n    truth: %s" % (kind, app.seed, app.framework, text, truth or "nothing"), flush=True)


def spelled_alike(label):
    """Frameworks name a parameter, a label learned from paths says what it looks like."""
    return re.sub(r"\{[^{}]*\}", "{}", label)


def run_lives(seed, count):
    import lives
    draw = random.Random("lives %d" % seed)
    recall, alarms, kinds = Rate(0.98), Rate(0.02, at_most=True), Rate(0.95)
    suspicions, early, before_half = Rate(), Rate(0.98), Rate(0.98)
    slope, first, three, none = Rate(0.95), Rate(0.90), Rate(0.97), Rate(1.0)
    first_route, order_sure, in_group = Rate(0.95), Rate(), Rate(0.95)
    by_habit = {}
    for number in range(count):
        own, leaks = seed * 100_003 + number, number % 2 == 0
        if leaks:
            only = None if number % 4 == 0 else LEAK_NAMES[number // 4 % len(LEAK_NAMES)]
            total = 4096 if draw.random() < 0.5 else 2 ** draw.uniform(12, 16)
            app = apps.draw_app(own, leaks=draw.randint(1, 5), innocents=draw.randint(0, 2), total=total, only=only)
        else:
            app = apps.draw_app(own, leaks=0, only=INNOCENT_NAMES[number // 2 % len(INNOCENT_NAMES)])
        life = lives.live(app, 40_000 if leaks else ENOUGH)
        wrong = []

        def said(rate, right, what, value=None):
            rate.add(right, value)
            if not right:
                wrong.append(what)
        names = {habit.name for habit in app.habits}
        if leaks:
            said(recall, life.accused_at is not None, "never accused")
            said(kinds, life.kind == "leaking", "class " + life.kind)
            if app.bytes_per_request() >= 4000:
                said(early, life.suspected_at is not None and life.suspected_at <= 5000, "suspected at %s" % life.suspected_at, life.suspected_at)
            said(before_half, life.suspected_at is not None and life.suspected_gone <= 0.5, "half is gone", life.suspected_gone)
            error = abs(life.slope / app.bytes_per_request() - 1)
            said(slope, error <= 0.1, "%.0f B a request" % life.slope, error)
            if life.accused_at is not None:
                heaviest = spelled_alike(next(iter(app.route_bytes())))
                sure = bool(life.routes) and life.routes[0][2] == "yes"
                order_sure.add(sure)
                if sure:
                    said(first_route, spelled_alike(life.routes[0][0]) == heaviest, "routes %r" % life.routes[:2])
                elif life.routes:
                    group = [spelled_alike(route) for route, _, may in life.routes if may == "maybe"]
                    said(in_group, heaviest in group, "group %r" % group)
                true = app.true_lines()
                if true:
                    said(first, life.lines[:1] and life.lines[0] in true, "lines %r" % life.lines[:3])
                    said(three, any(line in true for line in life.lines[:3]), "not in three")
                else:
                    said(none, not life.lines, "lines %r of C code's leak" % life.lines[:3])
            by_habit.setdefault("leak: " + (names.pop() if len(names) == 1 else "several"), Rate()).add(life.accused_at is not None)
        else:
            name = app.habits[0].name
            suspicions.add(life.suspected_at is not None)
            said(alarms, life.accused_at is None, "accused at %s" % life.accused_at)
            said(kinds, life.kind in FITTING[name], "class " + life.kind)
            said(none, not life.lines, "lines %r" % life.lines[:3])
            by_habit.setdefault("innocent: " + name, Rate()).add(life.accused_at is not None)
        if life.failed:
            wrong.append("%d requests failed" % life.failed)
        if wrong:
            miss("life", app, ", ".join(wrong) + " (%d requests, %.0f s)" % (life.requests, life.seconds))
    alarms.hits = alarms.count - alarms.hits                   # counted as innocents that were left alone
    table("first lives, seed %d" % seed, [
        ("leaks accused", recall), ("innocents accused", alarms), ("innocents suspected", suspicions), ("class right at the end", kinds),
        ("suspected within 5,000 requests at 4 KB and more", early), ("suspected before half of the headroom is gone", before_half),
        ("bytes a request within 10 %", slope), ("the order of routes is sure", order_sure), ("first route right, when sure", first_route),
        ("the heaviest is in the group, when not", in_group), ("a true line first", first),
        ("a true line in the first three", three), ("no line of innocents and of C code", none)])
    table("accused, by what they do", sorted(by_habit.items()))


def direct(seed, drawn):
    with tempfile.TemporaryDirectory(prefix="ln") as folder:
        run = subprocess.run([sys.executable, str(HERE / "direct.py"), str(seed), folder, "--drawn", json.dumps(drawn)], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    if run.returncode:
        raise SystemExit("application %d:\n%s" % (seed, run.stderr[-2000:]))
    return json.loads(run.stdout)


def run_lines(seed, count, jobs):
    draw, asked = random.Random("lines %d" % seed), []
    for number in range(count):
        own = seed * 100_003 + 50_000 + number
        innocents = draw.randint(0, 3)
        if number % 10 == 8:
            asked.append((own, {"leaks": 0, "innocents": max(1, innocents)}))
        elif number % 10 == 9:
            asked.append((own, {"only": habits.NATIVE, "total": 2 ** draw.uniform(11, 15)}))
        else:
            asked.append((own, {"leaks": draw.randint(1, 5), "innocents": innocents, "total": 2 ** draw.uniform(10, 15)}))
    first, three, none, pause = Rate(0.90), Rate(0.97), Rate(1.0), Rate()
    by_habit = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as executor:
        for (own, drawn), found in zip(asked, executor.map(lambda each: direct(*each), asked)):
            app = apps.draw_app(own, **drawn)
            said = [(os.path.basename(line["file"]), line["line"]) for line in found["lines"] if line["claimed"]]
            true, wrong = app.true_lines(), []
            pause.add(found["pause"] <= 0.05, found["pause"])
            if true and found["suspected"]:
                first.add(said[:1] and said[0] in true)
                three.add(any(line in true for line in said[:3]))
                if not said or said[0] not in true:
                    wrong.append("said %r" % said[:3])
                for habit in app.leaks:
                    if habit.lines:
                        named = any((os.path.basename(habit.file), line) in said for line in habit.lines)
                        by_habit.setdefault(habit.name, Rate()).add(named)
            elif not true:
                none.add(not said)
                if said:
                    wrong.append("said %r of %.0f B a request" % (said[:3], found["slope"]))
            if wrong:
                miss("lines", app, "; ".join(wrong))
    table("lines, seed %d" % seed, [("a true line first", first), ("a true line in the first three", three),
                                    ("no line of innocents and of C code", none), ("traces are taken within 50 ms", pause)])
    table("leaks named at all, by kind (several share an application)", sorted(by_habit.items()))


def run_costs(count):
    cpu, memory = costs.idle(20)
    print("\nidle agent: %.2f %% of a CPU (goal <= 0.5), %.2f MiB (goal <= 2)" % (100 * cpu, memory / (1 << 20)))
    asked = costs.in_process("pauses", 1 << 30)
    print("1 GiB heap: phase A pauses for %.0f ms (goal <= 50), phase B takes %.1f s (goal <= 5; of the CPU %.1f s), missed: %s" % (
        1000 * asked["a"], asked["b"], asked["b_cpu"], asked["missed"] or "nothing"))
    trimmed = Rate(0.95)
    for number in range(min(count, 10)):
        found = costs.in_process("trim", number)
        share = found["given"] / max(1, found["possible"])
        trimmed.add(share >= 0.8, share)
    table("evidence", [("trim gives back 80 % of what glibc can", trimmed)])


def run_captures(recycles):
    import captures
    made = []
    for number, server in enumerate(captures.SERVERS):
        made += captures.captures(server, (recycles + number) // len(captures.SERVERS))
    for each in made:
        if not each.succeeded:
            print("capture of %s%s left %s\n    %s" % (each.server, ", stuck" if each.stuck else "", each.found, each.story.replace("\n", "\n    ")))
    rates = []

    def rated(name, chosen):
        rate = Rate(0.99)
        for each in chosen:
            rate.add(each.succeeded)
        rates.append((name, rate))
    rated("full: stacks and heap of workers that serve", [each for each in made if not each.stuck])
    rated("stacks only: stuck with the GIL held, and it says so", [each for each in made if each.stuck])
    for server in captures.SERVERS:
        rated("gunicorn " + server, [each for each in made if each.server == server])
    rated("all", made)
    table("captures that have what their worker could give", rates)
    for name, values, unit, goal in (("phase A", [each.a for each in made if each.a is not None], 1000, "ms (its pause is no longer; goal <= 50)"),
                                     ("phase B", [each.b for each in made if each.b is not None], 1, "s (goal <= 5)")):
        if values:
            print("%s takes %.3g at the median, %.3g at 99 %%, %.3g at most %s, of %d" % (
                name, unit * captures.quantile(values, 0.5), unit * captures.quantile(values, 0.99), unit * max(values), goal, len(values)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--recycles", type=int, default=60, help="of `captures`")
    parser.add_argument("--only", default="lives,lines,costs,captures")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once of `lines`")
    parser.add_argument("--binary")
    arguments = parser.parse_args()
    if arguments.binary:
        os.environ["PLIMSOLL_BINARY"] = str(Path(arguments.binary).resolve())
    asked = arguments.only.split(",")
    if "lines" in asked:
        run_lines(arguments.seed, 10 * arguments.count, arguments.jobs)
    if "costs" in asked:
        run_costs(arguments.count)
    if "captures" in asked:
        run_captures(arguments.recycles)
    if "lives" in asked:
        run_lives(arguments.seed, arguments.count)


if __name__ == "__main__":
    main()
