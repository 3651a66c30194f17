"""What the proxy holds while nobody asks for anything: what only its start needed is given back, and comes back when it is asked."""
import sys
import time

from harness.proxy import free_port
from harness.waiting import until

MOST = 8_500_000                                               # 7.0 MB here; libraries differ in size
MINUTE = 60                                                    # what is done once in that, the proxy does before it rests again


def resident(proxy):
    with open("/proc/%d/status" % proxy.process.pid) as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) * 1024


def test_a_proxy_at_rest_has_given_back_what_only_its_start_needed_and_serves_from_there(plimsoll):
    port = free_port()
    proxy = plimsoll({"pool": [{"name": "app", "source": {"kind": "static", "addresses": ["127.0.0.1:%d" % port]}}]})
    proxy.beside([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"])
    proxy.launch(["serve", "-c", str(proxy.config_path)], ready=None)
    until(lambda: "started" in proxy.log_text(), 10, "it has started")
    time.sleep(8)                                              # not for luck: rest is what is measured
    assert resident(proxy) < MOST
    time.sleep(MINUTE + 10 - 8)
    until(lambda: resident(proxy) < MOST, 5, "it has given back what the minute's own work brought")
    until(proxy.admin.ready, 10, "ready")
    assert proxy.get("/").status == 200
    assert proxy.admin.get("/metrics").status == 200
