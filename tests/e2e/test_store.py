"""A state directory that can't take anything: evidence is lost, service is not."""
import contextlib
import os
import re
import subprocess

import pytest
from harness.admin import story
from harness.fleets import fleet
from harness.load import Load, verdict
from harness.waiting import PATIENCE, until


NO_SPACE = re.compile("space|full")


@contextlib.contextmanager
def tiny_disk(path, size="1m"):
    path.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "tmpfs", path],
                                           stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("a small file system can't be mounted here (needs root)")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(path):
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(file, b"f" * 4096)
    os.close(file)


def test_without_space_serving_and_recycling_go_on_and_captures_are_refused_with_a_reason(plimsoll):
    proxy = plimsoll(fleet("sync", workers=3))
    with tiny_disk(proxy.directory / "state") as disk:
        proxy.start()
        target = proxy.wait_serving(3)[0]
        fill(disk / "filler")
        with Load(proxy.address, connections=16, timeout=30 * PATIENCE) as load:
            load.run_until(300, bound=60 * PATIENCE)
            refused = proxy.admin.act("capture", target["id"])
            if refused.status == 202:
                incident = proxy.closed(refused.json["incident"])
                assert incident["capture"]["status"] == "refused" and NO_SPACE.search(story(incident)), story(incident)
                assert "was not captured" in incident["verdict"], incident["verdict"]
            else:
                assert refused.status in (409, 507) and NO_SPACE.search(refused.json["reason"]), repr(refused)
            incident = proxy.recycle(target["id"])
            assert incident["recycle"]["outcome"] == "done", story(incident)
            assert incident["capture"]["status"] == "refused", story(incident)
            load.run_until(load.requests + 300, bound=60 * PATIENCE)
        verdict(load, proxy.ledger).check()
        proxy.stop()


def test_a_state_directory_that_cannot_be_made_is_told_and_serving_goes_on(plimsoll):
    proxy = plimsoll(fleet("sync", workers=2))
    (proxy.directory / "state").write_text("a file where a directory should be")
    proxy.start()
    target = proxy.wait_serving(2)[0]
    assert proxy.get("/echo/1?size=3").status == 200
    until(lambda: str(proxy.directory / "state") in proxy.log_text(), 10, "the log tells")
    incident = proxy.recycle(target["id"])
    assert incident["recycle"]["outcome"] == "done", story(incident)
    assert incident["capture"]["status"] == "refused", story(incident)
