"""Run with the interpreter that tests/e2e/venvs.py prints for `current`; PLIMSOLL_BINARY names another binary than the
release build, PLIMSOLL_PATIENCE a factor on every deadline, PLIMSOLL_SOAK=1 the full length of the load tests."""
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "apps")]

from harness.binary import binary  # noqa: E402
from harness.proxy import Proxy  # noqa: E402

SOAK = os.environ.get("PLIMSOLL_SOAK") == "1"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "went_" + call.when, outcome.get_result().passed)


@pytest.fixture
def plimsoll(request):
    """plimsoll(config) is a proxy, not yet started. After a test that passed it is stopped and must have ended well: exit
    code 0, no process left behind, no sanitizer report. After one that failed the end of its log is shown."""
    if not binary().exists():
        pytest.fail("%s is not built (cmake --preset release && cmake --build --preset release, or set PLIMSOLL_BINARY)" % binary())
    made = []

    def make(config=None, **more):
        made.append(Proxy(config, **more))
        return made[-1]

    yield make
    try:
        for proxy in made:
            if getattr(request.node, "went_call", False):
                proxy.stop()
            else:
                print("---- the log of %s ----\n%s" % (proxy.directory, proxy.log_tail()))
    finally:
        for proxy in made:
            proxy.clean_up()


@pytest.fixture
def soak():
    return SOAK
