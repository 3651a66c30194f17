"""The parts that need no server: parsers, frames, settings, the arbiter's succession, the census."""
import gc
import os
import signal
import sys

import pytest

AGENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, AGENT)

from plimsoll_agent import cli, listener, memory, native, protocol, settings        # noqa: E402
from plimsoll_agent.agent import Agent                                  # noqa: E402
from plimsoll_agent.capture import census, malloc, retainers                # noqa: E402
from plimsoll_agent.hooks.succession import Succession                      # noqa: E402


@pytest.mark.parametrize("text,expected", [
    ("unix:/run/p.sock", ("unix", "/run/p.sock")),
    ("/run/p.sock", ("unix", "/run/p.sock")),
    ("tcp:proxy:9181", ("tcp", "proxy", 9181)),
    ("tcp:[::1]:9181", ("tcp", "::1", 9181)),
])
def test_control_addresses(text, expected):
    assert settings.parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "run/p.sock", "tcp:proxy", "tcp::9181", "udp:proxy:1"])
def test_a_wrong_control_address_says_how_it_should_be(text):
    with pytest.raises(ValueError, match="unix:/path/to/control.sock or tcp:HOST:PORT"):
        settings.parse_address(text)


def test_listeners_follow_the_control_socket_unless_told():
    read = lambda **env: settings.Settings({"PLIMSOLL_" + key: value for key, value in env.items()})      # noqa: E731
    assert read(CONTROL="/a.sock").listen == "unix"
    assert read(CONTROL="tcp:h:1").listen == "tcp"
    told = read(CONTROL="/a.sock", LISTEN="tcp:10.0.0.5")
    assert (told.listen, listener.local_host(told)) == ("tcp", "10.0.0.5")
    with pytest.raises(ValueError, match="use unix, tcp, tcp:ADDRESS or none"):
        read(CONTROL="/a.sock", LISTEN="sctp")


def test_the_token_may_be_in_a_file(tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    assert settings.Settings({"PLIMSOLL_CONTROL": "/a", "PLIMSOLL_TOKEN_FILE": str(tmp_path / "token")}).token == "s3cret"


def test_frames_survive_any_cut():
    messages = [{"type": "a", "text": "ü" * 50}, {"type": "b"}, {"type": "c", "n": 1}]
    stream = b"".join(map(protocol.pack, messages))
    for size in range(1, len(stream)):
        reader, seen = protocol.Reader(), []
        for start in range(0, len(stream), size):
            seen += reader.feed(stream[start:start + size])
        assert seen == messages


def test_frames_that_are_too_long_or_no_objects_end_it():
    with pytest.raises(protocol.ProtocolError):
        protocol.Reader().feed(b"\x7f\xff\xff\xff")
    with pytest.raises(protocol.ProtocolError):
        protocol.Reader().feed(b"\x00\x00\x00\x02[]")
    with pytest.raises(protocol.ProtocolError):
        protocol.pack({"type": "sample", "data": "x" * (1 << 20)})


def tree(root, files):
    for path, text in files.items():
        path = root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return memory.Cgroup(str(root / "proc"), str(root / "sys"))


def test_cgroup_v2_takes_the_tightest_limit_above(tmp_path):
    found = tree(tmp_path, {
        "proc/cgroup": "0::/app/worker\n", "sys/memory.current": "9000000\n",
        "sys/app/memory.current": "5000\n", "sys/app/memory.max": "100000\n",
        "sys/app/worker/memory.current": "3000\n", "sys/app/worker/memory.max": "max\n",
        "sys/app/worker/memory.stat": "anon 1\ninactive_file 1000\n"})
    assert found.read() == {"cgroup_usage": 3000, "cgroup_working_set": 2000, "cgroup_limit": 100000}


def test_cgroup_v2_is_limited_where_it_is_held_up(tmp_path):
    files = {"proc/cgroup": "0::/app\n", "sys/app/memory.current": "5000\n", "sys/app/memory.max": "100000\n"}
    assert tree(tmp_path, {**files, "sys/app/memory.high": "80000\n"}).limit() == 80000
    assert tree(tmp_path, {**files, "sys/app/memory.high": "max\n"}).limit() == 100000
    assert tree(tmp_path, {**files, "sys/app/memory.high": "0\n"}).limit() == 100000


def test_cgroup_v2_in_a_container_has_its_files_at_the_root(tmp_path):
    found = tree(tmp_path, {"proc/cgroup": "0::/\n", "sys/memory.current": "7000\n", "sys/memory.max": "8000\n"})
    assert found.read() == {"cgroup_usage": 7000, "cgroup_working_set": None, "cgroup_limit": 8000}


def test_cgroup_v1_says_no_limit_with_a_huge_number(tmp_path):
    found = tree(tmp_path, {
        "proc/cgroup": "5:memory:/docker/abc\n0::/\n", "sys/memory/memory.usage_in_bytes": "7000\n",
        "sys/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/memory/memory.stat": "total_inactive_file 500\n"})
    assert found.read() == {"cgroup_usage": 7000, "cgroup_working_set": 6500, "cgroup_limit": None}    # the path is the host's


def test_no_cgroup_is_unknown_and_never_zero(tmp_path):
    assert set(tree(tmp_path, {}).read().values()) == {None}


def test_costly_readings_take_a_thousandth_of_the_time(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(memory.native, "monotonic", lambda: clock[0])
    spent = []

    def slow():
        clock[0] += 0.01
        spent.append(0.01)
        return 7
    reading, values = memory.Seldom(slow), []
    began = clock[0]
    while clock[0] < began + 100:
        values.append(reading.read())
        clock[0] += 1
    assert sum(spent) <= 0.0012 * 100 and None in values and values[0] == 7


def test_what_memory_is_made_of_is_told_with_each_tenth_that_it_grows_by_however_long_that_takes(monkeypatch):
    clock, anon = [100.0], [20_000_000]

    def slow():
        clock[0] += 0.03
        return 7, 7
    monkeypatch.setattr(memory.native, "monotonic", lambda: clock[0])
    monkeypatch.setattr(memory, "statm", lambda: {"rss": anon[0], "anon": anon[0]})
    monkeypatch.setattr(memory, "malloc_use", slow)
    watched, told = memory.Memory(), []
    for _ in range(40):                                         # ten seconds in which it grows by 60 MB
        values = watched.sample()
        if values["malloc_in_use"] is not None:
            assert values["allocated_blocks"] is not None
            told.append(anon[0])
        anon[0] += 1_500_000
        clock[0] += 0.25
    assert 12 <= len(told) <= 16, told
    for _ in range(40):                                         # what swings below was seen
        anon[0] = 40_000_000 if anon[0] > 60_000_000 else 75_000_000
        if watched.sample()["malloc_in_use"] is not None:
            told.append(anon[0])
        clock[0] += 0.25
    assert len(told) <= 18, told


class Worker:
    def __init__(self, age, pid):
        self.age, self.pid = age, pid


class Arbiter:
    """As much of gunicorn's as the succession touches; it forks and reaps when told."""

    class cfg:
        workers = 2

    class log:
        info = staticmethod(lambda *words: None)

    def __init__(self):
        self.num_workers, self.WORKERS, self.killed, self.ages = 2, {}, [], 0
        self.succession = Succession(self)
        self.manage()
        for pid in self.WORKERS:
            self.succession.order("ready", pid)
        self.manage()

    def manage(self):
        """What gunicorn's manage_workers does, behind ours."""
        if self.succession.before_managing():
            while len(self.WORKERS) < self.num_workers:
                self.ages += 1
                worker = Worker(self.ages, 1000 + self.ages)
                self.succession.forking(worker)
                self.WORKERS[worker.pid] = worker
            for worker in sorted(self.WORKERS.values(), key=lambda worker: worker.age)[:len(self.WORKERS) - self.num_workers]:
                self.killed.append((worker.pid, signal.SIGTERM))

    def kill_worker(self, pid, number):
        self.killed.append((pid, number))

    def reap(self, pid, status=0):
        return self.succession.reaped(self.WORKERS.pop(pid), status)


@pytest.fixture
def arbiter(monkeypatch):
    monkeypatch.setattr(os, "kill", lambda pid, number: None)
    return Arbiter()


def test_a_chosen_worker_goes_when_its_successor_is_there(arbiter):
    arbiter.succession.order("successor", 1001)
    arbiter.manage()
    assert sorted(arbiter.WORKERS) == [1001, 1002, 1003]
    arbiter.succession.order("ready", 1003)
    arbiter.succession.order("retire", 1001)
    arbiter.manage()
    assert arbiter.killed == [(1001, signal.SIGTERM)]
    assert arbiter.reap(1001) is False
    arbiter.manage()
    assert sorted(arbiter.WORKERS) == [1002, 1003] and arbiter.num_workers == 2 and len(arbiter.killed) == 1


def test_a_second_order_for_the_same_worker_changes_nothing(arbiter):
    arbiter.succession.order("successor", 1001)
    arbiter.succession.order("successor", 1001)
    arbiter.succession.order("successor", 4711)
    arbiter.manage()
    assert arbiter.num_workers == 3


def test_failed_boots_are_held_longer_and_longer(arbiter, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("plimsoll_agent.hooks.succession.time.monotonic", lambda: clock[0])
    arbiter.succession.order("successor", 1001)
    arbiter.manage()
    forks = []
    while len(forks) < 6:
        newest = max(arbiter.WORKERS)
        if newest > 1002:
            forks.append(clock[0])
            assert arbiter.reap(newest, 255 << 8) is True
        arbiter.manage()
        clock[0] += 0.25
    pauses = [round(after - before, 2) for before, after in zip(forks, forks[1:])]
    assert pauses == [0.75, 1.25, 2.25, 4.25, 5.25], pauses
    assert arbiter.WORKER_BOOT_ERROR == arbiter.APP_LOAD_ERROR == -1


def test_a_cancelled_successor_is_killed_if_it_must_be(arbiter, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("plimsoll_agent.hooks.succession.time.monotonic", lambda: clock[0])
    arbiter.succession.order("successor", 1001)
    arbiter.manage()
    arbiter.succession.order("cancel", 0)
    arbiter.manage()
    clock[0] = 2.5
    arbiter.manage()
    assert arbiter.killed == [(1003, signal.SIGTERM), (1003, signal.SIGKILL)]
    arbiter.reap(1003, signal.SIGKILL)
    clock[0] = 60
    arbiter.manage()
    assert sorted(arbiter.WORKERS) == [1001, 1002] and arbiter.num_workers == 2


def test_a_hup_in_the_middle_forgets_the_succession(arbiter):
    arbiter.succession.order("successor", 1001)
    arbiter.manage()
    arbiter.num_workers = 2                 # as setup() does
    arbiter.succession.restarted()
    arbiter.reap(1001)
    assert arbiter.num_workers == 2


class Thing:
    def __init__(self):
        self.body = os.urandom(3000)


_kept = {}


def test_a_census_charges_a_class_with_what_its_instances_own():
    before = census.take(5.0)[0]
    _kept.update((number, Thing()) for number in range(1000))
    try:
        now, objects, containers = census.take(5.0)
        rows = census.growth(now, before, 3)
        assert rows[0]["type"].endswith("Thing") and rows[0]["delta"] == 1000
        assert 3000 < rows[0]["delta_bytes"] / 1000 < 3300
        assert rows[1]["type"] == "bytes" and abs(rows[1]["delta"] - 1000) < 20
        grown = census.grown_containers(containers, before, 5)
        assert grown[0].thing is _kept and grown[0].grown == 1000 and grown[0].bytes > 3000000
        search = retainers.Search([objects, containers, grown], 1e18)
        chain, = search.chains([_kept[7]])
        assert chain == "%s._kept (dict, 1000 items) -> %s.Thing" % (__name__, __name__)
    finally:
        _kept.clear()


def test_shared_atoms_are_counted_once():
    atom = os.urandom(100000)
    before = census.take(5.0)[0]
    lists = [[atom] * 1 for _ in range(500)]
    now = census.take(5.0)[0]
    assert abs(now.bytes["bytes"] - before.bytes["bytes"] - 100000) < 20000     # before, only a running function held it
    del lists


def test_a_census_touches_no_modules_c_state():
    """CPython 3.12.0 to 3.12.5 hang in the next collection after somebody took a module's referents."""
    import asyncio

    async def many():
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(100)))
    asyncio.run(many())
    for _ in range(3):
        census.take(5.0)
        retainers.Search([], 1e18).chains([asyncio])
        gc.collect()


def test_a_worker_at_its_limit_of_threads_is_busy_no_longer_than_that(monkeypatch):
    class Connection:
        sent = []
        send = sent.append

    def full(function, arguments):
        raise RuntimeError("can't start new thread")
    asked = Agent(None, None, None)
    monkeypatch.setattr(native, "start_thread", full)
    asked._command(Connection, {"id": 1, "name": "ping"})
    assert Connection.sent.pop()["error"] == "no thread for it: can't start new thread"
    monkeypatch.setattr(native, "start_thread", lambda function, arguments: function(*arguments))
    asked._command(Connection, {"id": 2, "name": "ping"})
    assert Connection.sent.pop()["ok"]


def test_mallinfo_is_the_allocators_own():
    info = malloc.info()
    assert info is None or info["uordblks"] > 1 << 20 and malloc.trim()


@pytest.mark.parametrize("control", ["nonsense", "tcp:host"])
def test_run_tells_a_mistake_before_it_starts_anything(control, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "--control", control, "--", "true"])
    assert "unix:/path/to/control.sock or tcp:HOST:PORT" in str(ended.value)


def test_run_without_a_command_says_what_it_wants():
    with pytest.raises(SystemExit, match="no command"):
        cli.main(["run", "--"])


def test_what_the_allocator_holds_is_counted_by_it_and_not_by_the_pages():
    before, _ = memory.malloc_use()
    if malloc.info() is None:
        assert before is None
        return
    kept = [bytearray(3000) for _ in range(10_000)]
    assert memory.malloc_use()[0] - before > len(kept) * 3000 * 0.9
    del kept
    gc.collect()
    assert memory.malloc_use()[0] - before < 10_000 * 3000 * 0.5


def test_a_search_for_retainers_asks_for_no_more_than_its_time_allows(monkeypatch):
    """A walk of the heap takes as long as the number of things that are asked for says, and can't be interrupted."""
    clock, asked, layers = [100.0], [], [[[number] for number in range(10)]]
    for _ in range(6):                      # each is held by 20 lists more
        layers.append([[below] for below in layers[-1] for _ in range(20)][:400])

    class Collector:
        get_referents = staticmethod(gc.get_referents)

        @staticmethod
        def get_referrers(*things):
            clock[0] += 0.02 * len(things)
            asked.append(len(things))
            return layers[len(asked)]
    monkeypatch.setattr(retainers, "gc", Collector)
    monkeypatch.setattr(retainers.native, "monotonic", lambda: clock[0])
    retainers.Search([], 101.0).chains(layers[0])
    assert asked[0] == 10 and len(asked) > 1 and 1 < asked[1] and clock[0] <= 101.1, (asked, clock)


def test_a_sample_tells_the_soft_limit_of_open_files_as_it_is_now():
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = memory.Memory()
    assert told.sample()["fds_limit"] == (soft if soft != resource.RLIM_INFINITY else None)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    try:
        assert told.sample()["fds_limit"] == soft - 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_limit_of_open_files_is_unknown(monkeypatch):
    monkeypatch.setattr(memory.resource, "getrlimit", lambda what: (memory.resource.RLIM_INFINITY, memory.resource.RLIM_INFINITY))
    assert memory.fds_limit() is None
    monkeypatch.setattr(memory, "resource", None)       # a Python that was built without it
    assert memory.fds_limit() is None
