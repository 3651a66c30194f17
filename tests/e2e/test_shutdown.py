"""The end of the proxy, and what it wrote until then."""
import json
import signal
import threading
import time

import pytest
from harness.fleets import fleet
from harness.waiting import PATIENCE, until

pytestmark = pytest.mark.asan


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_lets_what_is_in_flight_finish_and_takes_nothing_new(plimsoll, how):
    proxy = plimsoll(fleet("sync", workers=2)).start()
    proxy.wait_serving(2)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(proxy.get("/echo/slow?size=5&pause=2", method="POST", body=b"x")))
    thread.start()
    until(lambda: any(worker["in_flight"] for worker in proxy.admin.workers()), 5, "the request has begun")
    proxy.tell_to_stop(how)
    def closed():
        try:
            proxy.get("/echo/new?size=1", timeout=1)
        except OSError:
            return True
        return False
    until(closed, 1.5, "the listener is closed while the request goes on")
    assert not answers
    thread.join()
    assert answers[0].status == 200
    proxy.stop()


def a_request_of_a_minute(proxy):
    def slow():
        try:
            proxy.get("/echo/slow?size=5&pause=60", timeout=60)
        except Exception:                                      # it is cut: that is what these tests are about
            pass
    threading.Thread(target=slow, daemon=True).start()
    until(lambda: any(worker["in_flight"] for worker in proxy.admin.workers()), 5, "the request has begun")


def test_a_request_that_outlasts_the_stop_timeout_does_not_hold_the_stop(plimsoll):
    proxy = plimsoll({**fleet("sync", workers=2), "proxy": {"stop_timeout": "1s"}}).start()
    proxy.wait_serving(2)
    a_request_of_a_minute(proxy)
    began = time.monotonic()
    proxy.stop(bound=40)
    assert time.monotonic() - began < 40


def test_the_log_ends_with_how_the_stop_went(plimsoll):
    proxy = plimsoll({**fleet("sync", workers=2, arguments=["--graceful-timeout", "1"]),
                      "proxy": {"stop_timeout": "1s"}, "log": {"format": "json"}}).start()
    proxy.wait_serving(2)
    a_request_of_a_minute(proxy)
    proxy.stop(bound=40)
    last = json.loads(proxy.log_text().splitlines()[-1])
    assert last["event"] == "stopped", last
    assert last["seconds"] >= 1, last
    assert (last["cut_requests"], last["cut_tunnels"], last["cut_connections"]) == (1, 0, 0), last


def test_a_second_sigterm_means_at_once_and_leaves_no_process_either(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2, arguments=["--graceful-timeout", "2"])).start()
    proxy.wait_serving(2)
    a_request_of_a_minute(proxy)
    proxy.tell_to_stop()
    until(lambda: "stopping" in proxy.log_text(), 5, "it has heard the first")
    began = time.monotonic()
    proxy.tell_to_stop()
    proxy.process.wait(5 * PATIENCE)
    until(lambda: "cut_requests=1" in proxy.log_text(), 5, "it said what it cut")
    assert time.monotonic() - began < 3 * PATIENCE
    until(lambda: not proxy.descendants(), 15, "its workers have ended")


def test_every_line_of_a_json_log_is_an_object_with_its_event(plimsoll):
    proxy = plimsoll()
    log = proxy.directory / "plimsoll.log"
    proxy.configure({**fleet("sync", workers=2), "log": {"level": "debug", "format": "json", "file": str(log), "access": True}})
    proxy.start()
    proxy.recycle(proxy.wait_serving(2)[0]["id"])
    proxy.get("/echo/1?size=1", fields={"User-Agent": 'quotes " and \\ and \t tabs'})
    proxy.process.send_signal(signal.SIGUSR1)
    proxy.stop()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert all("event" in line for line in lines)
    events = [line["event"] for line in lines]
    assert len(set(events)) >= 5, events
    assert any("status" in line and line.get("status") == 200 for line in lines), "no access line"


def test_sigusr1_reopens_the_log(plimsoll):
    proxy = plimsoll()
    log = proxy.directory / "plimsoll.log"
    proxy.configure({**fleet("sync", workers=1), "log": {"level": "debug", "file": str(log)}}).start()
    proxy.wait_serving(1)
    log.rename(proxy.directory / "plimsoll.log.1")
    proxy.process.send_signal(signal.SIGUSR1)
    until(log.exists, 5, "a new log file")
    proxy.stop()
    assert log.read_text()
