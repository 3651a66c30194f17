"""uWSGI of the distribution: its workers are known and measured. Their addresses come from map-socket."""
import os

import pytest

from conftest import AGENT
from fake_proxy import wait_for
from servers import Server, ask

BINARY = "/usr/bin/uwsgi"

pytestmark = pytest.mark.skipif(not os.path.exists(BINARY) or not os.path.exists("/usr/lib/uwsgi/plugins/python3_plugin.so"),
                                reason="no uWSGI with Python here: apt-get install uwsgi-core uwsgi-plugin-python3")


DECORATORS = """
import uwsgi                                # the distribution leaves uWSGI's own out; like it, takes the one hook for a chain
chain = []
uwsgi.post_fork_hook = lambda: [function() for function in chain]
def postfork(function):
    chain.append(function)
"""


@pytest.mark.parametrize("options", [[], ["--lazy-apps"], ["--threads", "3"]], ids=["plain", "lazy", "threads"])
@pytest.mark.parametrize("decorated", [False, True])
def test_workers_say_hello_and_are_measured(decorated, options, proxy, folder):
    module = os.path.join(folder, "served.py")
    with open(module, "w") as file:
        if decorated:
            with open(os.path.join(folder, "uwsgidecorators.py"), "w") as stand_in:
                stand_in.write(DECORATORS)
            file.write("import uwsgidecorators\n@uwsgidecorators.postfork\ndef theirs():\n    print('USER postfork', flush=True)\n")
        file.write("from apps.wsgi import app\nimport json.tool\n")
    server = Server(folder, "py311", [BINARY, "--plugin", "python3", "--master", "--processes", "2", "--http-socket", "{public}",
                                      "--need-app", "--pythonpath", "{here}", "--pythonpath", folder, "--die-on-term",
                                      "--module", "served:app"] + options,
                    {"PYTHONPATH": os.path.join(AGENT, "bootstrap"), "PATH": "/usr/bin:/bin",
                     "UWSGI_ENABLE_THREADS": "true"}, proxy)     # else this version keeps the GIL while it waits for requests
    try:
        workers = wait_for(lambda: len([a for a in proxy.living() if a.ready]) == 2 and proxy.living(), "two workers")
        assert all(agent.hello["server"] == "uwsgi" and agent.address is None for agent in workers)
        assert {agent.hello["threads"] for agent in workers} == {3 if "--threads" in options else 1}
        wait_for(lambda: all(agent.samples for agent in workers), "samples")
        assert workers[0].command("capture_a")["ok"]
        assert '"pid"' in ask("unix:" + server.public)
        if decorated and "--lazy-apps" not in options:
            wait_for(lambda: server.output().count("USER postfork") == 2, "the application's own hook")
    finally:
        server.stop()
        print(server.output()[-3000:])
