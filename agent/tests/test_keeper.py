"""Whose line an allocation is: the helper's that made it, or its caller's that keeps it."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from plimsoll_agent.capture import keeper, lines     # noqa: E402

SOURCE = '''
import functools
seen, index = [], {}
def blob(key):                               # 4
    text = key * 100                         # 5
    return text[:50]                         # 6
def direct(key):
    return key * 100                         # 8
def both(key):
    value = blob(key)                        # 10
    index[key] = value
    return value
def remember(key):
    seen.append(direct(key))                 # 14
def counted(key):
    value = direct(key)                      # 16
    seen.append(value)
    return len(value)
@functools.lru_cache(maxsize=None)
def looked_up(key):
    return key * 100                         # 21
def default(key):
    return index.setdefault(key, blob(key))  # 23
class Order:
    def __init__(self, key):
        self.text = key * 100                # 26
        Order.last = key * 100               # 27
def size(key):
    return len(Order(key).text)              # 29
def rows(key):
    found = []
    for number in range(9):
        found.append(float(number))          # 33
    return found
def closure(key):
    value = key * 100                        # 36
    def told():
        return value
    seen.append(told)
def view(key):
    looked_up(key)                           # 41
def keeps_global(key):
    global last
    last = key * 100                         # 44
    return last
async def fetch(key):
    return (await
            direct(key))                     # 48
def stream(key):
    yield key * 100                          # 50
def view_of(key):
    direct(key)                              # 52
def cached(key):
    cache.set(key, direct(key))              # 54
def pushed(key):
    push(direct(key))                        # 56
def page_of(key):
    page = direct(key)                       # 58
    cache.set(key, value=page)
    return page
def checked(key):
    page = direct(key)                       # 62
    check(page)
    ready.set()
    return page
def logged(key):
    logger.info("%s", direct(key))           # 67
    print(len(direct(key)))                  # 68
    publish(key, len(direct(key)))           # 69
    publish(key, {"page": direct(key)})      # 70
def started(key):
    return loop.create_task(direct(key))     # 72
def kept_task(key):
    jobs.submit(work, direct(key))           # 74
def saved(key):
    direct(key).save()                       # 76
def unique(key):
    set(direct(key))                         # 78
def hooked(key):
    logger.addHandler(Handler(direct(key)))  # 80
def handed(key):
    return cache.set(key, direct(key))       # 82
def summed(key):
    return add(direct(key), 1)               # 84
def handled(key):
    handle(direct(key))                      # 86
async def middleware(self, scope, receive, send):
    await self.app(scope, receive, send)     # 88
    await send(direct(scope))                # 89
    await channel.send_json(direct(scope))   # 90
    await cache.set(scope, direct(scope))    # 91
    await self.handle(direct(scope))         # 92
def opened(key):
    order = Order(key)                       # 94
    weakref.finalize(order, order.close)
    return order
def tracked(key):
    order = Order(key)                       # 98
    tracker.follow(order)
    return order
def query(key):
    order = tracked(key)                     # 102
    return len(order.text)
def job(key):
    order = tracked(key)                     # 105
    return lambda: order.text
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "orders.py"
    path.write_text(SOURCE)
    return str(path)


HANDED_ON = {5, 6, 8, 26, 33, 48, 50, 62, 72, 84, 98}
DROPPED = {41, 52, 67, 68, 69, 70, 76, 78, 88, 89, 90}
SUPPOSED = {86, 92}


@pytest.mark.parametrize("line", [5, 6, 8, 10, 14, 16, 21, 23, 26, 27, 29, 33, 36, 41, 44, 48, 50, 52, 54, 56, 58, 62, 67, 68, 69, 70, 72, 74, 76,
                                  78, 80, 82, 84, 86, 88, 89, 90, 91, 92, 94, 98, 102, 105])
def test_a_line_hands_on_what_its_function_returns_and_stores_nowhere(file, line):
    expected = keeper.HANDS_ON if line in HANDED_ON else keeper.DROPS if line in DROPPED else keeper.MAY_KEEP if line in SUPPOSED else keeper.KEEPS
    assert keeper.Sources().verdict(file, line) == expected


def test_the_bytes_of_a_shared_helper_go_to_who_keeps_them(file):
    row, = lines.fold([[((file, 8), (file, 14), ("/srv/app/views.py", 3)), 1000, 10]], 5)
    assert (row["file"], row["line"]) == (file, 14) and row["traceback"][0] == "%s:8" % file


def test_what_a_helper_gave_is_told_where_it_is_stored_and_what_was_made_here_where_it_was_made(file):
    row, = lines.fold([[((file, 8), (file, 16)), 1000, 10]], 5)
    assert row["line"] == 17
    row, = lines.fold([[((file, 36), ("/srv/app/views.py", 3)), 1000, 10]], 5)
    assert row["line"] == 36


def test_what_a_helper_built_is_told_where_it_is_handed_to_a_keeper(file):
    for line, told in ((54, 54), (56, 56), (58, 59), (62, 14), (91, 91)):
        row, = lines.fold([[((file, 8), (file, line), (file, 14)), 1000, 10]], 5)
        assert row["line"] == told


def test_what_a_finalizer_holds_is_kept_by_it(file):
    row, = lines.fold([[((file, 26), (file, 94), (file, 14)), 1000, 10]], 5)
    assert row["line"] == 95


def test_where_no_caller_stores_it_a_call_that_was_given_its_name_may_keep_it(file):
    for caller, told in ((102, 98), (52, 98), (14, 14), (105, 105)):
        row, = lines.fold([[((file, 26), (file, 98), (file, caller)), 1000, 10]], 5)
        assert row["line"] == told


def test_what_is_dropped_further_out_was_kept_on_the_way(file):
    row, = lines.fold([[((file, 8), (file, 52)), 1000, 10]], 5)
    assert row["line"] == 8


def test_a_call_of_which_nothing_is_known_is_told_only_where_nothing_was_handed_to_it(file):
    for stack, told in (([8, 86], 8), ([86, 14], 86)):
        row, = lines.fold([[tuple((file, line) for line in stack), 1000, 10]], 5)
        assert row["line"] == told


def test_an_expression_that_is_too_deep_keeps_its_frame(tmp_path):
    deep = tmp_path / "deep.py"
    deep.write_text("def f(a):\n    handle(%s)\n" % " + ".join(["a"] * 2000))
    assert keeper.Sources().verdict(str(deep), 2) == keeper.KEEPS


def test_a_file_that_cannot_be_read_or_parsed_keeps_its_frame(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("def f(:\n    return 1\n")
    sources = keeper.Sources()
    assert sources.verdict(str(broken), 2) == sources.verdict("/nowhere.py", 1) == keeper.KEEPS


def test_no_module_is_imported_to_parse(file):
    import subprocess
    code = ("import sys; sys.path.insert(0, %r); from plimsoll_agent.capture import keeper; before = set(sys.modules); "
            "assert keeper.Sources().verdict(%r, 8) == 'hands on'; print(sorted(set(sys.modules) - before), 'ast' in sys.modules)"
            % (os.path.dirname(os.path.dirname(os.path.abspath(__file__))), file))
    assert subprocess.run([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout == "[] False\n"


def test_cycles_count_as_kept_where_nobody_collects_them():
    import gc
    from plimsoll_agent.capture import trace

    class Node:
        def __init__(self):
            self.me, self.data = self, bytearray(5000)
    threshold = gc.get_threshold()
    for collected, off in ((True, lambda: None), (False, gc.disable), (False, lambda: gc.set_threshold(0))):
        trace.start()
        off()
        try:
            for _ in range(50):
                Node()
            traces = trace.stop()[0]
        finally:
            gc.enable(), gc.set_threshold(*threshold)
        ranked, _ = trace.analyse(traces, 5)
        kept = sum(line["bytes"] for line in ranked if line["file"] == __file__)
        assert (kept < 50 * 5000 / 2) == collected, ranked
        gc.collect()


def test_what_is_asked_of_a_line_is_answered_once_however_many_stacks_go_through_it(file, monkeypatch):
    walks = []
    monkeypatch.setattr(keeper, "locate", lambda tree, line, real=keeper.locate: walks.append(line) or real(tree, line))
    sources = keeper.Sources()
    for _ in range(1000):
        for ask in (sources.verdict, sources.is_doubtful, sources.lets_go, sources.storing):
            ask(file, 3)
    assert len(walks) <= 4
