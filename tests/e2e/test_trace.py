"""The trace of requests of a running proxy, and the replay that an operator chooses limits by."""
import json
import os
import subprocess
import threading

from harness.binary import binary
from harness.fleets import fleet
from harness.waiting import until


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def replay(*words):
    done = subprocess.run([str(binary()), "replay", *map(str, words)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def priority(told, name):
    return next(line.split()[1:] for line in told.splitlines() if line.startswith(name))


def test_the_trace_holds_each_request_and_is_replayed(plimsoll):
    proxy = plimsoll()
    trace = proxy.directory / "trace"
    proxy.configure({**fleet("sync", workers=2, app="wellbeing:wsgi"), "log": {"trace": str(trace)},
                     "route": [{"path": "/sleep", "pool": "app", "priority": "critical", "label": "slow"}, {"path": "/", "pool": "app"}]})
    proxy.start()
    proxy.wait_serving(2)
    threads = [threading.Thread(target=proxy.get, args=("/sleep/0.2",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(12):
        assert proxy.get("/x").status == 200
    until(lambda: len(lines(trace)) == 20, 10, "each has its line")
    slow = [line for line in lines(trace) if line["route"] == "slow"]
    assert len(slow) == 8 and all(line["priority"] == "critical" and line["status"] == 200 for line in slow)
    assert all(0.2 <= line["service"] < 2 for line in slow), "the time in the worker, without that in the queue"
    assert max(line["wait"] for line in slow) > 0.3, "four rounds of two"
    assert "plimsoll_trace_dropped_total 0" in proxy.admin.get("/metrics").body.decode()

    recorded = trace.read_text().splitlines(keepends=True)
    older, newer = proxy.directory / "cut.1", proxy.directory / "cut"       # as it would stand there once rotated
    older.write_text("".join(recorded[:7]))
    newer.write_text("".join(recorded[7:]))
    for files in [trace], [older, newer]:
        told = replay(*files, "--workers", "8")
        assert told.startswith("20 requests of 2 routes"), told
        assert priority(told, "critical")[:3] == ["8", "8", "0"] and "nobody was refused" in told, told
        assert 0 < float(told.split("goodput ")[1].split()[0]) <= 1, told


def test_a_rate_limit_is_tried_on_what_was_recorded_and_no_client_is_named(plimsoll):
    proxy = plimsoll()
    trace = proxy.directory / "trace"
    proxy.configure({**fleet("sync", workers=1, app="wellbeing:wsgi"), "log": {"trace": str(trace)}, "proxy": {"trusted_proxies": ["127.0.0.1"]},
                     "route": [{"path": "/api", "pool": "app", "limit": [{"key": ["client"], "rate": "1/h", "burst": 3}]}, {"path": "/", "pool": "app"}]})
    proxy.start()
    proxy.wait_serving(1)
    for client in ["192.0.2.7"] * 6 + ["192.0.2.8"] * 2:
        assert proxy.get("/api", fields={"X-Forwarded-For": client}).status in (200, 429)
    assert proxy.get("/x").status == 200
    until(lambda: len(lines(trace)) == 9, 10, "each has its line, those that were refused too")
    assert [line.get("refused") for line in lines(trace)].count("rate") == 2
    assert len({line["client"] for line in lines(trace)}) == 3
    assert "192.0.2" not in trace.read_text() and "127.0.0.1" not in trace.read_text()

    assert "7 requests of 2 routes" in replay(trace), "without a limit those that were refused are none"
    told = replay(trace, "--limit", "/api=1/h,burst=1,key=client")
    assert "limit /api=1/h,burst=1,key=client: 4 of 8 requests refused, of 1 of 2 clients" in told and "refused: rate 4\n" in told, told
    told = replay(trace, "--limit", "*=1/h,burst=4")
    assert "limit *=1/h,burst=4: 4 of 9 requests refused\n" in told, told
    done = subprocess.run([str(binary()), "replay", str(trace), "--limit", "/apy=1/h"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr == "plimsoll: --limit /apy=1/h: the trace has no route /apy: did you mean /api?\n"


def test_the_trace_stays_within_its_bound_and_a_reload_ends_it(plimsoll):
    proxy = plimsoll()
    trace = proxy.directory / "trace"
    proxy.configure({**fleet("sync", workers=1, app="wellbeing:wsgi"), "log": {"trace": str(trace), "trace_size": "1MiB"}})
    trace.write_text("x" * (1 << 20))                          # as it may stand there from an earlier run
    proxy.start()
    proxy.wait_serving(1)
    assert proxy.get("/").status == 200
    until(lambda: os.path.exists(str(trace) + ".1") and len(lines(trace)) == 1, 10, "a new one has begun")
    assert os.path.getsize(str(trace) + ".1") == 1 << 20
    del proxy.config["log"]["trace"], proxy.config["log"]["trace_size"]
    proxy.configure(proxy.config)
    assert proxy.admin.post("/v1/config/reload").status == 200
    until(lambda: proxy.get("/").status == 200 and len(lines(trace)) == 1, 5, "no line more")


def test_the_trace_knows_what_requests_need_of_memory_and_the_replay_makes_room_for_it(plimsoll):
    proxy = plimsoll()
    trace = proxy.directory / "trace"
    proxy.configure({**fleet("gthread", workers=1, app="hungry:wsgi", arguments=["--threads", "8"], memory={"limit": "700MiB", "interval": "100ms"}),
                     "log": {"trace": str(trace)}})
    proxy.start()
    proxy.wait_serving(1)

    def heavy():
        return [line for line in lines(trace) if line.get("need", 0) >= 195 << 20]
    until(lambda: proxy.get("/need/200").status == 200 and len(heavy()) >= 3, 30, "its need is known, and recorded", pause=0.05)
    assert max(line["need"] for line in heavy()) < 225 << 20
    assert proxy.get("/light").status == 200
    until(lambda: "need" not in lines(trace)[-1], 10, "who needs little has none on his line")

    together = proxy.directory / "together"                     # as if three of them had come at once
    first = heavy()[0]
    together.write_text("".join(json.dumps({**first, "service": 1}) + "\n" for _ in range(3)))
    told = replay(together, "--slots", "2", "--workers", "2", "--base", "40MiB")
    assert 640 < peak(told) < 760, told
    told = replay(together, "--slots", "2", "--workers", "2", "--base", "40MiB", "--memory", "600MiB")
    assert 460 < peak(told) < 570 and "3 requests need much, 1 of them waited for room though a slot was free" in told, told
    told = replay(together, "--slots", "2", "--workers", "2", "--base", "40MiB", "--worker-memory", "300MiB", "--timeout", "500ms")
    assert "refused: memory 1\n" in told, told


def peak(told):                                                 # in MiB
    return float(told.split("memory: at most ")[1].split(" MiB")[0])
