"""Which lines are accused, and of which stack they are the line."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from plimsoll_agent.capture import functions, lines, ownership, speedscope, trace     # noqa: E402

JSON, ORM, APP = (json.__file__, 10), ("/v/lib/python3.11/site-packages/orm/row.py", 5), ("/srv/app/orders.py", 41)


def stack(size, *frames, count=100):
    return [frames, size, count]


def test_bytes_go_to_the_applications_own_innermost_line_and_the_whole_traceback_stays():
    row, = lines.fold([stack(3000, JSON, ORM, APP, ("/srv/app/main.py", 9)), stack(1000, APP, ("/srv/app/main.py", 9))], 5)
    assert (row["file"], row["line"], row["bytes"], row["count"]) == (*APP, 4000, 200)
    assert row["traceback"] == ["%s:%d" % frame for frame in (JSON, ORM, APP, ("/srv/app/main.py", 9))]


def test_a_library_keeps_its_innermost_line_where_the_application_is_not_in_the_stack():
    row, = lines.fold([stack(10, ORM, JSON)], 5)
    assert (row["file"], row["line"]) == ORM


def told(requests, low, high, *sizes):
    rows = lines.fold([stack(size, ("/srv/app/%d.py" % number, 1)) for number, size in enumerate(sizes)], 9)
    return [(row["file"], row["claimed"]) for row in lines.reconcile(rows, requests, low, high)]


def test_a_line_that_agrees_with_the_growth_is_claimed_and_a_churning_cache_above_it_is_not():
    assert told(100, 3800, 4200, 900000, 400000, 100) == [("/srv/app/1.py", True), ("/srv/app/0.py", False), ("/srv/app/2.py", False)]


def test_no_line_is_claimed_where_the_lines_do_not_explain_the_growth():
    """C code's leak: what Python holds is a tenth of it."""
    assert told(100, 3800, 4200, 50000, 100) == [("/srv/app/0.py", False), ("/srv/app/1.py", False)]


def test_a_line_that_a_container_was_seen_to_grow_by_is_told_beside_a_larger_leak_of_c_code():
    frames = (APP, ("/srv/app/main.py", 9))
    for held, claimed in (({frames: True}, True), ({}, False), ({frames: False}, False)):
        row, = lines.reconcile(lines.fold([stack(150000, *frames)], 5, held), 100, 3800, 4200)
        assert row["claimed"] == claimed, held


def test_a_line_that_only_adds_and_keeps_more_than_the_growth_is_told_as_such():
    """Sessions that live for longer than the window."""
    for held, size, exceeds in (({(APP,): True}, 900000, True), ({(APP,): True}, 400000, False), ({(APP,): False}, 900000, False), ({}, 900000, False)):
        rows = lines.reconcile(lines.fold([stack(size, APP)], 5, held), 100, 3800, 4200)
        assert lines.exceeding(rows, 4200) == ({"file": APP[0], "line": APP[1], "bytes_per_request": 9000.0} if exceeds else None), (held, size)
    assert lines.exceeding(rows, None) is None


def test_what_no_file_is_known_of_is_nobodys_line():
    """Allocated below C code alone, tracemalloc calls it <unknown>."""
    for file in ("<unknown>", "<string>"):
        row, = lines.reconcile(lines.fold([stack(400000, (file, 0))], 5), 100, 3800, 4200)
        assert (row["file"], row["claimed"]) == (file, False)


def test_no_line_is_claimed_of_a_worker_that_does_not_grow():
    assert not any(claimed for _, claimed in told(100, 0, 0, 900000) + told(100, None, None, 900000) + told(0, 4000, 4000, 900000))


LIBRARIES = tuple(("/v/lib/python3.11/site-packages/orm/row.py", line) for line in range(1, 9))


def test_what_was_cut_off_within_libraries_is_nobodys_line_and_not_c_codes():
    """Eight library frames of eight that are kept: the application's may be the ninth."""
    for requests, size, is_cut in ((100, 400000, True), (100, 20000, False)):
        rows = lines.reconcile(lines.fold([stack(size, *LIBRARIES), stack(size / 4, *LIBRARIES[::-1])], 5, limit=8), requests, 3800, 4200)
        assert [(row["file"], row["line"], row["bytes"], row["cut"], row["claimed"]) for row in rows] == [(*LIBRARIES[0], size * 5 / 4, True, False)]
        assert lines.are_cut(rows, 3800) == is_cut
    row, = lines.reconcile(lines.fold([stack(400000, *LIBRARIES)], 5, limit=9), 100, 3800, 4200)
    assert row["claimed"] and not row["cut"]            # whole, and a library's
    frames = LIBRARIES[:7] + (APP,)
    row, = lines.fold([stack(400000, *frames)], 5, limit=8)
    assert (row["file"], row["line"], row["cut"]) == (*APP, False)
    churn, = lines.reconcile(lines.fold([stack(400000, *LIBRARIES)], 5, {LIBRARIES: False}, 8), 100, 3800, 4200)
    assert not lines.are_cut([churn], 3800)


def test_a_line_is_told_beside_what_was_cut():
    rows = lines.reconcile(lines.fold([stack(300000, *LIBRARIES), stack(100000, APP)], 5, limit=8), 100, 3800, 4200)
    assert [(row["file"], row["claimed"]) for row in rows] == [(APP[0], True), (LIBRARIES[0][0], False)]
    rows = lines.reconcile(lines.fold([stack(300000, *LIBRARIES), stack(100000, APP)], 1, limit=8), 100, 3800, 4200)
    assert [row["file"] for row in rows] == [LIBRARIES[0][0]] and lines.are_cut(rows, 3800)


def test_the_agents_frames_are_those_that_the_proxy_asks_for():
    with open(os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "conf", "plimsoll.toml")) as file:
        assert "\ntrace_frames = %d " % trace.FRAMES in file.read()


def test_two_leaks_share_the_growth():
    assert told(100, 5500, 6500, 400000, 200000) == [("/srv/app/0.py", True), ("/srv/app/1.py", True)]


def test_a_speedscope_profile_weighs_stacks_by_bytes():
    profile = json.loads(speedscope.of([stack(10, JSON, APP), stack(30, APP)], "t"))
    names = [frame["name"] for frame in profile["shared"]["frames"]]
    one, = profile["profiles"]
    assert one["weights"] == [30, 10] and one["endValue"] == 40 and one["unit"] == "bytes"
    assert [[names[i] for i in sample] for sample in one["samples"]] == [["app/orders.py:41"], ["app/orders.py:41", "json/__init__.py:10"]]
    assert [(frame["file"], frame["line"]) for frame in profile["shared"]["frames"]] == [APP, JSON]


def test_the_frames_of_a_profile_are_functions_and_those_of_flame_graphs_have_a_path_that_tells_files_apart():
    line = functions.name_lines.__code__.co_firstlineno + 2
    here, there = (functions.__file__, line), ("/srv/carts/views.py", 41)
    stacks = [stack(10, here, ("/srv/orders/views.py", 41)), stack(30, here, there), stack(5, there), stack(1, ("/srv/a/orders/views.py", 41))]
    where = functions.Names()
    assert trace.folded(stacks, where).splitlines() == ["carts/views.py:41;capture/functions.py:%d name_lines 30" % line,
                                                        "orders/views.py:41;capture/functions.py:%d name_lines 10" % line,
                                                        "carts/views.py:41 5", "orders/views.py:41 1"]
    frames = json.loads(speedscope.of(stacks, "t", where))["shared"]["frames"]
    assert {"name": "name_lines", "file": functions.__file__, "line": line} in frames
    assert {"name": "carts/views.py:41", "file": "/srv/carts/views.py", "line": 41} in frames


def test_whatever_a_file_is_called_it_is_one_frame_of_one_line():
    text = trace.folded([stack(10, ("/srv/a;b\n1/c\rd\u2028 e.py", 3)), stack(5, ("<string>", 1)), stack(4, ("views.py", 2)),
                         stack(3, ("/views.py", 2)),
                         stack(2, ("/srv/\udc80/x.py", 1))])
    assert text.splitlines() == ["a?b?1/c?d? e.py:3 10", "views.py:2 7", "<string>:1 5", "?/x.py:1 2"]
    text.encode("utf-8")


def test_names_are_looked_up_for_a_while_only(monkeypatch):
    monkeypatch.setattr(functions, "BUDGET", 0.0)
    assert functions.Names().of(functions.__file__, functions.name_lines.__code__.co_firstlineno + 2) is None


def test_a_hook_around_the_application_hides_nothing_of_it():
    agent, standard = os.path.join(ownership.PACKAGE, "hooks", "flask.py"), os.path.join(os.path.dirname(os.__file__), "json", "encoder.py")
    assert not lines.is_agents([("/srv/app/orders.py", 41), ("/venv/lib/python3.11/site-packages/flask/app.py", 902), (agent, 20)])
    assert not lines.is_agents([(standard, 7), ("/srv/app/orders.py", 41), (agent, 20)])
    assert lines.is_agents([(agent, 20), ("/srv/app/orders.py", 41)])
    assert lines.is_agents([(standard, 7), (agent, 20)])
    assert not ownership.is_own(agent)


def undecorated(function):
    def wrapper(*args):
        return function(*args)
    return wrapper


@undecorated
def remember(order):
    return [bytearray(len(order)) for _ in order]


class Orders:
    @property
    def all(self):
        def inner():
            return bytearray(10)
        return inner


def test_a_line_is_told_with_its_function_behind_decorators_and_inside_comprehensions():
    with open(__file__) as source:
        text = source.read().splitlines()
    places = [1 + next(number for number, line in enumerate(text) if line.strip() == wanted)
              for wanted in ("return [bytearray(len(order)) for _ in order]", "return bytearray(10)", "import json")]
    rows = functions.name_lines([{"file": __file__, "line": line} for line in places])
    long_names = sys.version_info >= (3, 11)
    assert [row["function"] for row in rows] == ["remember", "Orders.all.inner" if long_names else "inner", None]
