"""The admin API and the commands, by the names that others build on."""
import json
import re
import urllib.error
import urllib.request

import pytest
from harness.admin import Admin
from harness.fleets import fleet
from harness.waiting import until

WORKER = {"id", "pool", "address", "pid", "generation", "state", "addressable", "started_at", "requests", "in_flight", "slots",
          "memory", "leak", "breaker", "takes", "agent"}
MEMORY = {"anon_bytes", "rss_bytes", "pss_bytes", "uss_bytes", "limit_bytes", "pressure", "taken_at", "source"}
AGENT = {"connected", "server", "python", "version"}
INCIDENT = {"id", "pool", "worker", "generation", "opened_at", "closed_at", "state", "trigger", "verdict", "routes", "lines", "types",
            "retainers", "capture", "recycle", "timeline"}
RECYCLE = {"outcome", "drained_ms", "lost", "memory_before", "memory_after", "successor"}


@pytest.fixture
def two(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2, memory={"limit": "256MiB"})).start()
    proxy.wait_serving(2)
    return proxy


def test_a_worker_has_the_fields_that_were_promised(two):
    until(lambda: all(worker["memory"]["anon_bytes"] for worker in two.admin.workers()), 5, "the memory of each has been read")
    for worker in two.admin.workers():
        assert WORKER <= set(worker), WORKER - set(worker)
        assert MEMORY <= set(worker["memory"]), MEMORY - set(worker["memory"])
        assert AGENT <= set(worker["agent"]), AGENT - set(worker["agent"])
        assert worker["pool"] == "app" and worker["addressable"] is True and worker["generation"] == 1
        assert worker["slots"] == 1 and worker["agent"]["connected"]
        assert worker["memory"]["anon_bytes"] > 1 << 20 and worker["memory"]["limit_bytes"] == 256 << 20
        assert 0 < worker["memory"]["pressure"] < 1
        assert worker["address"].startswith("unix:")


def test_an_incident_has_the_fields_that_were_promised(two):
    incident = two.recycle(two.admin.serving()[0]["id"])
    assert INCIDENT <= set(incident), INCIDENT - set(incident)
    assert RECYCLE <= set(incident["recycle"]), RECYCLE - set(incident["recycle"])
    assert {"status", "files"} <= set(incident["capture"])
    assert incident["trigger"] == "operator" and incident["state"] == "closed" and incident["verdict"]
    assert all({"at", "event"} <= set(entry) for entry in incident["timeline"]) and len(incident["timeline"]) >= 4


def test_lists_are_objects_with_one_key_of_the_lists_name(two):
    for path, key in (("/v1/pools", "pools"), ("/v1/pools/app/workers", "workers"), ("/v1/incidents", "incidents")):
        assert isinstance(two.admin.read(path)[key], list), path
    assert two.admin.read("/v1/pools/app")["name"] == "app"
    assert two.admin.read("/v1/status")
    assert two.admin.get("/v1/nothing").status == 404
    assert two.admin.get("/v1/pools/nobody").status == 404
    assert two.admin.get("/v1/incidents/i-999999").status == 404
    assert two.admin.post("/v1/status").status == 405


def test_files_of_incidents_cannot_lead_elsewhere(two):
    identity = two.recycle(two.admin.serving()[0]["id"])["id"]
    for name in ("../incidents.db", "..%2Fincidents.db", "%2e%2e/incidents.db", "/etc/passwd", "nothing.txt", ""):
        assert two.admin.get("/v1/incidents/%s/files/%s" % (identity, name)).status in (400, 404), name


def test_metrics_are_prometheus_text(two):
    two.get("/echo/1?size=1")
    answer = two.admin.get("/metrics")
    assert answer.status == 200 and answer.fields["content-type"].startswith("text/plain")
    samples = [line for line in answer.body.decode().splitlines() if line and not line.startswith("#")]
    for line in samples:
        assert re.fullmatch(r'[a-z_:][a-zA-Z0-9_:]*(\{([a-z_]+="[^"]*",?)*\})? [-+0-9.eEinfNa]+', line), line
    assert all(line.startswith("plimsoll_") for line in samples), [line for line in samples if not line.startswith("plimsoll_")]
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", answer.body.decode(), re.M))
    assert all(name.endswith("_total") for name, kind in types.items() if kind == "counter"), types
    assert any("requests" in name for name in types) and any("memory" in name for name in types), sorted(types)


def test_health_and_readiness_differ(plimsoll):
    proxy = plimsoll({"pool": [{"name": "app", "source": {"kind": "gunicorn"}}]})    # waits for agents that never come
    proxy.start(ready=0)
    def healthy():
        try:
            return proxy.admin.get("/healthz").status == 200
        except OSError:
            return False
    until(healthy, 10, "it is alive")
    assert proxy.admin.get("/readyz").status == 503


def test_the_api_over_a_unix_socket_and_behind_a_token(plimsoll):
    proxy = plimsoll(fleet("sync", workers=1))
    socket = proxy.directory / "admin.sock"
    proxy.admin = Admin("unix:%s" % socket)
    proxy.configure(fleet("sync", workers=1)).start()
    proxy.wait_serving(1)
    assert proxy.cli("status", "--admin", "unix:%s" % socket, "--json").returncode == 0
    guarded = plimsoll()
    guarded.admin = Admin(guarded.admin.address, token="a-secret-of-some-length")
    guarded.configure({**fleet("sync", workers=1), "admin": {"listen": guarded.admin.address, "token": "a-secret-of-some-length"}}).start(ready=0)
    until(guarded.admin.ready, 30, "ready")
    stranger = Admin(guarded.admin.address)
    for path in ("/v1/status", "/v1/pools/app/workers", "/v1/config", "/metrics"):
        assert stranger.get(path).status == 401, path
    assert stranger.act("recycle", "app-1").status == 401
    assert Admin(guarded.admin.address, token="another").get("/v1/status").status == 401
    assert guarded.admin.get("/v1/status").status == 200


def test_a_page_in_a_browser_cannot_act(two):
    """DNS rebinding and cross-site posts: the loopback is no protection against the operator's own browser."""
    for fields in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        request = urllib.request.Request("http://%s/v1/pools/app/workers/app-1/recycle" % two.admin.address, b"", fields, method="POST")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code in (400, 401, 403, 421), fields


def test_the_commands_speak_to_a_running_proxy(two):
    admin = ("--admin", two.admin.address)
    for command in (("status",), ("workers",), ("incidents",)):
        done = two.cli(*command, *admin)
        assert done.returncode == 0 and done.stdout, done
        assert "\x1b[" not in done.stdout, "colours where no terminal is"
        json.loads(two.cli(*command, *admin, "--json").stdout)
    assert "app-1" in two.cli("workers", *admin).stdout
    for action in ("drain", "undrain", "capture", "recycle"):
        done = two.cli(action, "app-1", *admin)
        assert done.returncode == 0, done
        if action in ("capture", "recycle"):
            identity = re.search(r"i-\d+", done.stdout).group(0)
            two.closed(identity)
            shown = two.cli("incidents", identity, *admin)
            assert shown.returncode == 0 and identity in shown.stdout, shown
    assert two.cli("recycle", "app-77", *admin).returncode != 0


def test_a_command_without_a_proxy_says_where_it_looked(plimsoll):
    done = plimsoll().cli("status", "--admin", "127.0.0.1:1")
    assert done.returncode == 3 and "127.0.0.1:1" in done.stderr and len(done.stderr.splitlines()) == 1, done
