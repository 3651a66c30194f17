"""Applications that call gc.freeze(): what hangs on a frozen object has a keeper all the same."""
import json
import os
import subprocess
import sys

import pytest

AGENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
APPLICATION = """
import gc, json, os, sys
sys.path.insert(0, sys.argv[1])
from plimsoll_agent.capture import boot, phases

class Row:
    pass

class Task:
    args = {"trace": False, "serves_on": sys.argv[2] == "serves on"}
    file = staticmethod(lambda name, content: None)
    left = staticmethod(lambda: 10)

table = [[number] for number in range(30000)]           # large, and innocent
rows, texts = [], []
gc.collect()
boot.shared = sys.argv[2] == "shared"
if sys.argv[2] == "freeze later":
    boot.remember()
    gc.freeze()
else:
    gc.freeze()
    boot.remember_once()
assert gc.get_freeze_count()
rows.extend(Row() for _ in range(2000))
texts.extend(os.urandom(500) for _ in range(2000))
print(json.dumps(dict(phases.capture_b(Task), frozen_afterwards=gc.get_freeze_count())))
"""


def captured(how):
    return json.loads(subprocess.check_output([sys.executable, "-c", APPLICATION, AGENT, how], universal_newlines=True))


@pytest.mark.parametrize("how", ["freeze later", "freeze first"])
def test_a_frozen_container_that_has_grown_is_told(how):
    data = captured(how)
    assert data["gc"]["frozen"] > 30000 and not data["missed"]
    told = {container["kept_by"]: container["grown"] for container in data["containers"]}
    assert told["__main__.texts (list, 2000 items)"] == 2000 and told["__main__.rows (list, 2000 items)"] == 2000
    assert not any("table" in (keeper or "") for keeper in told)
    assert {"bytes", "__main__.Row"} <= {row["type"] for row in data["types"][:4]}


@pytest.mark.parametrize("how, still", [("freeze first", False), ("serves on", True)])
def test_what_was_frozen_is_frozen_anew_only_in_a_worker_that_serves_again(how, still):
    assert (captured(how)["frozen_afterwards"] > 30000) == still


ABANDONED = APPLICATION.replace("file = staticmethod(lambda name, content: None)", "file = staticmethod(abandon)").replace("class Task", """
def abandon(name, content):
    raise {}

class Task""").rpartition("print(")[0] + """
try:
    phases.capture_b(Task)
except Exception as error:
    print(json.dumps([type(error).__name__, gc.get_freeze_count()]))
"""


@pytest.mark.parametrize("how, still", [("freeze first", False), ("serves on", True)])
@pytest.mark.parametrize("error", ["phases.Abandoned()", "BrokenPipeError()"])
def test_it_is_frozen_anew_though_the_proxy_is_gone(error, how, still):
    name, frozen = json.loads(subprocess.check_output([sys.executable, "-c", ABANDONED.replace("raise {}", "raise " + error), AGENT, how],
                                                      universal_newlines=True))
    assert name in error and (frozen > 30000) == still


FULL_CACHE = """
import gc, json, sys
sys.path.insert(0, sys.argv[1])
from plimsoll_agent.capture import trace

cache = {number: bytearray(1000) for number in range(300)}
cache[-1] = []                              # else the collector would not list it
gc.collect()
gc.freeze()
noted = list(range(20))
trace.start()
for number in range(300, 400):
    cache[number] = bytearray(1000)
    del cache[number - 300]
    noted.append(bytearray(2000))
gc.unfreeze()                               # as before a capture
taken = trace.stop()
print(json.dumps([[line["bytes"] // 100000, line["added"] // 100000, line["replaced"]] for line in trace.analyse(taken.traces, 2, taken.held)[0]]))
"""


def test_of_a_frozen_container_nobody_says_that_it_grew_within_a_window():
    told = json.loads(subprocess.check_output([sys.executable, "-c", FULL_CACHE, AGENT], universal_newlines=True))
    assert told == [[2, 2, 0], [1, 0, 0]]


def test_where_others_share_the_frozen_heap_it_counts_as_no_growth_and_keeps_all_the_same():
    data = captured("shared")
    assert [row["type"] for row in data["types"] if row["delta"] > 1000] == ["__main__.Row"], data["types"]
    assert any("__main__.rows (list, 2000 items) -> __main__.Row" in chain for chain in data["retainers"])
