"""The route that leaks is found by what the workers were asked and how they grew: nothing of the application helps."""
import http.client
import random
import threading

from harness.fleets import fleet
from harness.waiting import until

LEFT_BEHIND = 64 << 10


def ask(address, stop, seed):
    draw = random.Random(seed)
    connection = http.client.HTTPConnection(*address, timeout=30)
    while not stop.is_set():
        shape = draw.choices(["/orders/%d", "/articles/%d", "/search?q=%d", "/"], [2, 4, 3, 1])[0]
        connection.request("GET", shape % draw.randrange(100000) if "%d" in shape else shape)
        connection.getresponse().read()
    connection.close()


def test_the_leaking_route_is_named_with_its_bytes(plimsoll):
    config = fleet("sync", 2, app="routes:wsgi", memory={"limit": "600MiB", "interval": "100ms"}, leak={"policy": "advise"})
    proxy = plimsoll(config).start()
    proxy.wait_serving(2)
    stop = threading.Event()
    clients = [threading.Thread(target=ask, args=(proxy.address, stop, seed)) for seed in range(4)]
    for client in clients:
        client.start()
    try:
        def found():
            leaks = [leak for leak in proxy.admin.read("/v1/leaks")["leaks"] if leak["what"] == "memory"]
            return leaks and leaks[0]["order_is_sure"] and leaks[0]["incidents"] and leaks[0]
        leak = until(found, 120, "the routes of the leak are known", pause=0.5)
    finally:
        stop.set()
        for client in clients:
            client.join()
    route = leak["routes"][0]
    assert route["route"] == "GET /orders/{n}", leak["routes"]
    assert route["share"] > 0.8, leak["routes"]
    assert abs(route["bytes_per_request"] / LEFT_BEHIND - 1) < 0.25, leak["routes"]
    assert route["low"] <= route["bytes_per_request"] <= route["high"]
    assert leak["verdict"].startswith("GET /orders/{n} leaks "), leak["verdict"]
    assert "GET /orders/{n}" in proxy.cli("leaks", "--admin", proxy.admin.address).stdout

    def told():
        incident = proxy.admin.read("/v1/incidents/" + leak["incidents"][0])
        named = any(entry["event"].startswith("GET /orders/{n} leaks ") for entry in incident["timeline"])
        return named and incident["routes"][0]["heaviest"] == "yes" and incident
    incident = until(told, 10, "the incident names the route, and is as sure of it")
    assert incident["routes"][0]["route"] == "GET /orders/{n}"
