"""Rate limits as an operator sees them: a 429 that says when to come again, counters, and a reload that forgets nothing."""
from harness.fleets import fleet
from harness.waiting import until


def route(**limit):
    return [{"path": "/", "pool": "app", "limit": [{"key": ["header:X-Key"], **limit}]}]


def test_a_client_beyond_its_rate_is_told_so_and_a_reload_keeps_the_count(plimsoll):
    proxy = plimsoll({**fleet("sync", workers=2), "route": route(rate="3/h", burst=2)}).start()

    def ask(key, **more):
        return proxy.get("/echo/x", fields={"X-Key": key, **more})

    assert [ask("a").status for _ in range(4)] == [200, 200, 200, 429]
    assert ask("b").status == 200
    refused = ask("a", Accept="application/json")
    assert refused.fields["content-type"] == "application/problem+json" and refused.json["reason"] == "rate"
    assert 1100 <= int(refused.fields["retry-after"]) <= 1800, "up to half longer, since many may share the field"
    assert refused.fields["ratelimit"].startswith('"header:X-Key";r=0;t=')

    status = proxy.admin.read("/v1/status")
    assert status["limits"] == [{"pool": "app", "route": "/", "limit": "header:X-Key", "key": ["header:X-Key"], "rate": "3/h", "burst": 2,
                                 "cost": 1, "inflight": None, "mode": "enforce", "shared": False, "passed": 4, "refused": 2, "shadow": 0}]
    assert "header:X-Key  app   /       3/h" in proxy.cli("status", "--admin", proxy.admin.address).stdout
    assert 'plimsoll_refusals_total{pool="app",reason="rate",mode="enforce"} 2' in proxy.admin.get("/metrics").body.decode()

    proxy.configure({**fleet("sync", workers=2), "route": route(rate="3/h", burst=2, mode="shadow")})
    assert proxy.admin.post("/v1/config/reload").status == 200
    until(lambda: ask("a").status == 200, 5, "shadow lets pass")
    metrics = proxy.admin.get("/metrics").body.decode()
    assert 'plimsoll_refusals_total{pool="app",reason="rate",mode="shadow"}' in metrics

    proxy.configure({**fleet("sync", workers=2), "route": route(rate="3/h", burst=2)})
    assert proxy.admin.post("/v1/config/reload").status == 200
    until(lambda: ask("a").status == 429, 5, "what was used up is remembered")
