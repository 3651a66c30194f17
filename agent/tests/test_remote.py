"""The agent that is put into a process which runs already: the same evidence, and nothing else of the process is touched."""
import json
import os
import subprocess
import sys
import time

import pytest

import venvs
from fake_proxy import wait_for

AGENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = """
import sys, time, os, json
names, environment = sorted(sys.modules), dict(os.environ)
class Line: pass
kept = [Line() for _ in range(3000)]
print("running", flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


@pytest.fixture
def process():
    running = []

    def start(python, *options):
        child = subprocess.Popen([python, "-I", *options, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(child)
        assert child.stdout.readline() == "running\n"
        return child
    yield start
    for child in running:
        child.kill()
        child.communicate()


def do(child, line):
    child.stdin.write(line + "\n")
    child.stdin.flush()
    assert child.stdout.readline() == "done\n"


def attach(proxy, folder, census):
    variables = {"PLIMSOLL_CONTROL": proxy.address, "PLIMSOLL_POOL": "app", "PLIMSOLL_RUN_DIR": folder, "PLIMSOLL_LISTEN": "none"}
    return "sys.path.append(%r); from plimsoll_agent import remote; remote.attach(%r, %r)" % (AGENT, variables, census)


def only(proxy):
    return wait_for(lambda: proxy.living() and proxy.living()[0], "the agent")


def test_it_says_what_it_is_and_answers_what_every_agent_does(process, proxy, folder):
    child = process(sys.executable)
    began = time.time()
    time.sleep(0.5)
    do(child, attach(proxy, folder, False))
    agent = only(proxy)
    assert agent.hello["remote"] is True and agent.hello["ready"] is True and agent.hello["pid"] == child.pid
    assert agent.hello["pool"] == "app" and agent.hello["address"] is None
    assert agent.hello["started_at"] < began + 0.3, "the process's start, not the agent's"
    wait_for(lambda: len(agent.samples) > 1, "samples: a census would have been taken by then")
    result = agent.command("capture_a")
    assert result["ok"] and "<string>" in result["files"]["stacks.txt"].decode()
    assert result["data"]["boot_census"] is False
    result = agent.command("capture_b")
    assert result["ok"] and json.loads(result["files"]["census.json"])["now"]["__main__.Line"]["count"] == 3000
    do(child, attach(proxy, folder, False))
    time.sleep(0.3)
    assert len(proxy.hellos) == 1, "once for a process"


def test_with_a_census_what_came_since_is_growth(process, proxy, folder):
    child = process(sys.executable)
    do(child, attach(proxy, folder, True))
    agent = only(proxy)
    agent.settle()
    do(child, "kept.extend(Line() for _ in range(500))")
    types = {row["type"]: row["delta"] for row in agent.command("capture_b")["data"]["types"]}
    assert types["__main__.Line"] == 500


def test_environment_and_server_are_left_alone(process, proxy, folder):
    child = process(sys.executable)
    do(child, "os.environ['PLIMSOLL_CONTROL'] = 'unix:/nowhere'; plain = os.execv; finders = list(sys.meta_path)")
    do(child, attach(proxy, folder, False))
    only(proxy)
    do(child, "assert os.environ['PLIMSOLL_CONTROL'] == 'unix:/nowhere' and os.execv is plain and sys.meta_path == finders")


def test_sigabrt_leaves_the_stacks_of_one_that_it_was_put_into(process, proxy, folder):
    child = process(sys.executable)
    do(child, attach(proxy, folder, False))
    stacks = only(proxy).hello["stacks"]
    assert stacks == os.path.join(folder, "stacks.%d.txt" % child.pid)
    child.send_signal(6)
    child.wait()
    assert "<string>" in open(stacks).read()


def test_python_314_runs_it_in_a_process_that_is_busy(process, proxy, folder):
    try:
        python = venvs.pythons.interpreter("3.14")
    except LookupError as reason:
        pytest.skip("no Python 3.14: %s" % reason)
    child = process(python)
    child.stdin.write("while True: time.sleep(0.01)\n")
    child.stdin.flush()
    script = os.path.join(folder, "script.py")
    with open(script, "w") as file:
        file.write("import sys; " + attach(proxy, folder, False))
    subprocess.run([python, "-I", "-S", "-c", "import sys; sys.remote_exec(int(sys.argv[1]), sys.argv[2])", str(child.pid), script], check=True)
    agent = only(proxy)
    assert agent.command("capture_a")["ok"]
    assert agent.command("capture_b")["ok"]
    assert agent.command("trace_start")["ok"] and agent.command("trace_stop")["ok"]
