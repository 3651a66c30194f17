"""Generates labelled applications: source code of its own for each seed, and the truth about its memory.

    python tests/bench/leaks/apps.py SEED DIRECTORY      writes one, and prints what it does

An application has 20 to 50 routes in several modules, and habits (habits.py) that hang on some of them: leaks by known lines, and
innocent ones that look like leaks for a while. Everything is drawn from the seed: framework, names, how bytes are made, how many
a hit, how often each route is asked. `main.app` is what a server loads.
"""
import dataclasses
import json
import os
import random
import re
import sys

import habits

FRAMEWORKS = ["flask", "django", "fastapi", "starlette", "wsgi"]
ASYNCHRONOUS = {"fastapi", "starlette"}
NOUNS = ("order invoice basket customer ticket voucher parcel refund coupon account address article author batch branch carrier catalog "
         "claim contract courier course credit device driver email event export feed folder forecast grant group hotel invite issue "
         "journal label ledger letter license lead market member memo message meter offer option page partner patient payment permit "
         "photo plan policy post price product profile project quote rating receipt recipe region report review reward room route salary "
         "sample season segment shift shop signal site slot stock student supplier survey tax team tenant term theme thread token topic "
         "track trip unit user vendor venue visit vote wallet ward window worker zone").split()
VERBS = "remember record collect track attach enlist note_down register enrich load prepare resolve observe follow store keep".split()
WARM = 3000                                 # requests, after which what is bounded is full: before, it grows like a leak
USUAL_HIT = 40000                           # bytes: leaks of a hit go up to 64 KB
MARK = re.compile(r"\s*#~\s*$")


@dataclasses.dataclass
class Placed:
    """A habit in an application."""
    name: str
    leak: bool
    route: int
    size: int                               # bytes a hit
    bytes_per_request: float                # over all routes, with what Python adds; 0: innocent
    file: str
    lines: list                             # the true ones; empty where C code leaks, or nothing does


@dataclasses.dataclass
class App:
    seed: int
    framework: str
    asgi: bool
    routes: list                            # [path with {key}, label, weight]
    habits: list
    files: dict = dataclasses.field(repr=False)

    @property
    def leaks(self):
        return [habit for habit in self.habits if habit.leak]

    def bytes_per_request(self):
        return sum(habit.bytes_per_request for habit in self.leaks)

    def route_bytes(self):
        """Label -> bytes a hit of that route, the one that costs most over all requests in front."""
        found, weights = {}, {label: weight for _, label, weight in self.routes}
        for habit in self.leaks:
            label = self.routes[habit.route][1]
            found[label] = found.get(label, 0) + habit.bytes_per_request
        return {label: cost / weights[label] for label, cost in sorted(found.items(), key=lambda item: -item[1])}

    def true_lines(self):
        return {(os.path.basename(habit.file), line) for habit in self.leaks for line in habit.lines}

    def paths(self, draw):
        """Requests without end, as clients of this application ask."""
        weights = [weight for _, _, weight in self.routes]
        while True:
            for path, _, _ in draw.choices(self.routes, weights, k=100):
                yield path.replace("{key}", "%x" % draw.getrandbits(32))

    def write(self, directory):
        for name, text in self.files.items():
            path = os.path.join(directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)


def draw_app(seed, leaks=None, innocents=None, framework=None, total=None, only=None):
    """leaks, innocents: how many (else 0-5 and 0-3); total: bytes a request that all leaks come to (else 64 B to 64 KiB a hit);
    only: the name of the one habit."""
    draw = random.Random("app %d" % seed)
    framework = framework or draw.choice(FRAMEWORKS)
    if only and habits.BY_NAME[only].asynchronous and framework not in ASYNCHRONOUS:
        framework = draw.choice(sorted(ASYNCHRONOUS))
    nouns = draw.sample(NOUNS, len(NOUNS))
    package = nouns.pop() + "_service"
    count = draw.randint(20, 50)
    weights = [draw.paretovariate(1.1) for _ in range(count)]
    weights = [min(weight, 20) for weight in weights]
    routes = []
    for number in range(count):
        noun = nouns[number]
        shape = draw.choice(["/%ss/{key}", "/api/%ss/{key}", "/%ss/{key}/details", "/v2/%s/{key}"]) % noun
        routes.append([shape, "GET " + shape, weights[number] / sum(weights)])
    usable = [habit for habit in habits.LEAKS if not habit.asynchronous or framework in ASYNCHRONOUS]
    chosen = [(habits.BY_NAME[only], only in {habit.name for habit in habits.LEAKS})] if only else (
        [(draw.choice(usable), True) for _ in range(draw.randint(0, 5) if leaks is None else leaks)]
        + [(draw.choice(habits.INNOCENTS), False) for _ in range(draw.randint(0, 3) if innocents is None else innocents)])
    asked = [number for number in range(count) if routes[number][2] >= 0.01]
    places = draw.sample(asked, min(len(asked), len(chosen)))
    files, placed, words = {package + "/toolbox.py": habits.TOOLBOX}, [], nouns[count:]
    portions = [draw.uniform(0.2, 1) if leak else 0 for _, leak in chosen]
    costs = [total * portion / max(sum(portions), 1e-9) if total else 0 for portion in portions]
    _make_room(routes, {place: cost / USUAL_HIT for place, cost in zip(places, costs)})
    for (habit, leaks_memory), place, cost in zip(chosen, places, costs):
        share = routes[place][2]
        size = max(128, min(int(cost / share) if cost else int(2 ** draw.uniform(6, 16)), 1 << 20))
        entries = min(max(16, int(draw.uniform(0.1, 0.4) * share * WARM)), 1500)
        if not leaks_memory:
            size = max(256, min(size, (24 << 20) // entries))
        file, text, lines = _module(draw, package, habit, words.pop(), draw.choice(VERBS), size, entries)
        files[file] = text
        cost = (size + habit.overhead) * share if leaks_memory else 0
        true = lines if leaks_memory and habit.name != habits.NATIVE else []
        placed.append(Placed(habit.name, leaks_memory, place, size, cost, file, true))
    _views(draw, package, framework in ASYNCHRONOUS, routes, placed, files)
    files["main.py"] = _main(framework, package, routes)
    return App(seed, framework, framework in ASYNCHRONOUS, routes, placed, files)


def _make_room(routes, wanted):
    """Asks some routes more often, so that a hit of theirs need not cost more than usual; the others share the rest."""
    wanted = {place: max(share, routes[place][2]) for place, share in wanted.items()}
    whole = max(1.0, sum(wanted.values()) / 0.9)
    rest = sum(route[2] for place, route in enumerate(routes) if place not in wanted)
    left = 1 - sum(wanted.values()) / whole
    for place, route in enumerate(routes):
        route[2] = wanted[place] / whole if place in wanted else route[2] * left / rest


def _module(draw, package, habit, noun, verb, size, entries):
    """A habit's module; its file, its text, and the lines that were marked."""
    make, helper = draw.choice(habits.MAKERS)
    helper_name = draw.choice(["_render_", "_fetch_", "build_", "_payload_of_", "read_"]) + noun
    names = dict(noun=noun, Noun=noun.capitalize(), verb=verb, entries=entries, make=make.format(helper=helper_name))
    text = '"""%s."""\n%s\nSIZE = %d\n\n\n%s' % (
        noun.capitalize() + draw.choice([" handling", " bookkeeping", " lookups"]), "\n" * draw.randrange(12), size,
        "" if helper is None or "{make}" not in habit.text else helper.format(helper=helper_name, package=package) + "\n\n")
    text += habit.text.format(**names)
    lines = text.split("\n")
    marked = [number for number, line in enumerate(lines, 1) if MARK.search(line)]
    return "%s/%s.py" % (package, noun), "\n".join(MARK.sub("", line) for line in lines), marked


WORK = [                                    # what every request does and lets go of
    "    rows = [{'id': number, 'key': key} for number in range(%d)]\n    return json.dumps(rows)[:60]\n",
    "    words = sorted((key * %d)[index:index + 3] for index in range(len(key)))\n    return ' '.join(words)[:60]\n",
    "    total = sum(hash((key, number)) & 255 for number in range(%d))\n    return 'total %%d' %% total\n",
    "    text = ''.join(chr(97 + (ord(each) + %d) %% 26) for each in key)\n    return text\n",
]


def _views(draw, package, asynchronous, routes, placed, files):
    """Handlers by threes to sevens in modules of their own."""
    number, module = 0, 0
    while number < len(routes):
        module += 1
        some = range(number, min(number + draw.randint(3, 7), len(routes)))
        text, imports = "", set()
        for route in some:
            here = [habit for habit in placed if habit.route == route]
            waits = any(habits.BY_NAME[habit.name].asynchronous for habit in here)
            text += "\n\n%sdef route_%d(key):\n" % ("async " if asynchronous and (waits or draw.random() < 0.5) else "", route)
            for habit in here:
                service = os.path.basename(habit.file)[:-3]
                imports.add("from %s import %s\n" % (package, service))
                verb = re.findall(r"^(?:async )?def (\w+)\(key\)", files[habit.file], re.M)[-1]
                text += "    %s%s.%s(key)\n" % ("await " if habits.BY_NAME[habit.name].asynchronous else "", service, verb)
            text += draw.choice(WORK) % draw.randint(5, 60)
        files["%s/views%d.py" % (package, module)] = "import json\n\n%s%s" % ("".join(sorted(imports)), text)
        number = some[-1] + 1
    files[package + "/__init__.py"] = "".join("from .views%d import *\n" % each for each in range(1, module + 1))


def _main(framework, package, routes):
    paths = [path for path, _, _ in routes]
    head = "import %s as views\n" % package
    if framework == "flask":
        return (head + "from flask import Flask\n\napp = Flask(__name__)\n"
                + "".join("app.add_url_rule(%r, view_func=views.route_%d)\n" % (path.replace("{key}", "<key>"), number)
                          for number, path in enumerate(paths)))
    if framework == "django":
        return (head + "from django.conf import settings\nfrom django.http import HttpResponse\nfrom django.urls import path\n\n"
                "settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=['*'], SECRET_KEY='bench', MIDDLEWARE=[])\n\n\n"
                "def answer(view):\n    def handle(request, key):\n        return HttpResponse(view(key), content_type='text/plain')\n    return handle\n\n\n"
                "urlpatterns = [\n"
                + "".join("    path(%r, answer(views.route_%d)),\n" % (path[1:].replace("{key}", "<key>"), number) for number, path in enumerate(paths))
                + "]\n\nfrom django.core.wsgi import get_wsgi_application\napp = get_wsgi_application()\n")
    if framework == "fastapi":
        return (head + "from fastapi import FastAPI\n\napp = FastAPI()\n"
                + "".join("app.get(%r)(views.route_%d)\n" % (path, number) for number, path in enumerate(paths)))
    if framework == "starlette":
        return (head + "import inspect\n\nfrom starlette.applications import Starlette\nfrom starlette.responses import PlainTextResponse\n"
                "from starlette.routing import Route\n\n\n"
                "def endpoint(view):\n    async def handle(request):\n        text = view(request.path_params['key'])\n"
                "        return PlainTextResponse(await text if inspect.isawaitable(text) else text)\n    return handle\n\n\n"
                "app = Starlette(routes=[\n"
                + "".join("    Route(%r, endpoint(views.route_%d)),\n" % (path, number) for number, path in enumerate(paths)) + "])\n")
    return (head + "import re\n\nROUTES = [\n"
            + "".join("    (re.compile(%r), views.route_%d),\n" % (path.replace("{key}", "([^/]+)") + "$", number) for number, path in enumerate(paths))
            + "]\n\n\ndef app(environ, start_response):\n    for pattern, view in ROUTES:\n        found = pattern.match(environ['PATH_INFO'])\n"
              "        if found:\n            body = view(found.group(1)).encode()\n"
              "            start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])\n            return [body]\n"
              "    start_response('404 Not Found', [('Content-Length', '0')])\n    return [b'']\n")


def main():
    app = draw_app(int(sys.argv[1]))
    app.write(sys.argv[2])
    truth = {"framework": app.framework, "habits": [dataclasses.asdict(habit) for habit in app.habits], "routes": app.route_bytes()}
    print(json.dumps(truth, indent=1))


if __name__ == "__main__":
    main()
