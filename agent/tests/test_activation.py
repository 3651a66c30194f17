"""How the agent gets into a process: installed, by PYTHONPATH, by `run`; and that it costs nothing where it isn't asked for."""
import os
import subprocess
import sys

import pytest

import conftest
import venvs
from servers import ask, gunicorn

AGENT = conftest.AGENT
SHOW = "import sys; print(sorted(name for name in sys.modules if name.startswith('plimsoll')))"


def python(venv, code, *options, **environ):
    env = {"PATH": os.environ["PATH"]}
    env.update(environ)
    return subprocess.run([venvs.python_of(venv)] + list(options) + ["-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, check=True)


@pytest.mark.parametrize("venv", venvs.NAMES)
def test_installed_it_is_active_by_the_variable_alone(venv, install):
    install(venv)
    assert python(venv, SHOW).stdout == "[]\n"
    assert python(venv, SHOW, PLIMSOLL_CONTROL="/c").stdout == "['plimsoll_agent', 'plimsoll_agent.activate']\n"


def test_it_imports_nothing_until_a_server_comes(install):
    """Less than a millisecond in every Python process of the environment, and no import but our own two."""
    install("py311")
    show = "import sys; print(len(sys.modules))"
    plain = int(python("py311", show).stdout)
    assert int(python("py311", show, PLIMSOLL_CONTROL="/c").stdout) == plain + 2
    times = {}
    for control in ("", "/c"):
        runs = [python("py311", "pass", "-X", "importtime", PLIMSOLL_CONTROL=control).stderr for _ in range(5)]
        times[control] = min(sum(int(line.split("|")[0].split(":")[1]) for line in run.splitlines() if "plimsoll" in line) for run in runs)
    assert times[""] == 0 and times["/c"] < 1500, times                 # microseconds, of a busy machine


def test_activating_twice_is_once(install):
    install("py311")
    code = ("import plimsoll_agent, sys; plimsoll_agent.startup(); plimsoll_agent.start(); "
            "print(len([finder for finder in sys.meta_path if 'plimsoll' in type(finder).__module__]))")
    assert python("py311", code, PLIMSOLL_CONTROL="/c", PYTHONPATH=os.path.join(AGENT, "bootstrap")).stdout == "1\n"


def test_a_module_that_we_wait_for_is_imported_as_ever(install):
    install("py311")
    code = ("import uvicorn.server, gunicorn.arbiter, inspect; print(uvicorn.server.__spec__.loader is uvicorn.server.__loader__, "
            "'class Arbiter' in inspect.getsource(gunicorn.arbiter), gunicorn.arbiter.Arbiter.setup.__module__)")
    assert python("py311", code, PLIMSOLL_CONTROL="/c").stdout == "True True plimsoll_agent.hooks.gunicorn\n"


def test_a_broken_setting_stops_no_server(install, serve):
    server = serve("py311", gunicorn("-w", "1"), {"PLIMSOLL_CONTROL": "nonsense"})
    server.serves()
    assert "use unix:/path/to/control.sock or tcp:HOST:PORT" in server.output()


@pytest.fixture
def bare(folder):
    """An environment without the agent."""
    path = os.path.join(folder, "bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    return path


def run_bare(bare, code, **environ):
    return subprocess.run([os.path.join(bare, "bin", "python"), "-c", code], env=dict({"PATH": os.environ["PATH"]}, **environ),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=True)


@pytest.mark.parametrize("layout", ["beside", "inside"])
def test_bootstrap_finds_the_package_and_chains_to_the_next_sitecustomize(layout, bare, folder):
    unpacked = os.path.join(folder, "unpacked")
    front = os.path.join(unpacked, "bootstrap") if layout == "beside" else unpacked
    os.makedirs(front)
    subprocess.run(["cp", "-r", os.path.join(AGENT, "plimsoll_agent"), unpacked], check=True)
    subprocess.run(["cp", os.path.join(AGENT, "bootstrap", "sitecustomize.py"), front], check=True)
    theirs = os.path.join(folder, "theirs")
    os.makedirs(theirs)
    with open(os.path.join(theirs, "sitecustomize.py"), "w") as file:
        file.write("marker = 'theirs'\nimport sys\nsys.path.append('/added')\n")
    code = SHOW + "; import sitecustomize; print(getattr(sitecustomize, 'marker', None), '/added' in sys.path)"
    path = front + os.pathsep + theirs
    assert run_bare(bare, code, PLIMSOLL_CONTROL="/c", PYTHONPATH=path).stdout == (
        "['plimsoll_agent', 'plimsoll_agent.activate']\ntheirs True\n")
    assert run_bare(bare, code, PYTHONPATH=path).stdout.endswith("theirs True\n")
    alone = run_bare(bare, SHOW, PLIMSOLL_CONTROL="/c", PYTHONPATH=front)
    assert alone.stdout == "['plimsoll_agent', 'plimsoll_agent.activate']\n" and alone.stderr == ""


def test_the_order_that_the_next_sitecustomize_gives_the_path_stays(bare, folder):
    theirs, gone = os.path.join(folder, "theirs"), os.path.join(folder, "gone")
    os.makedirs(theirs)
    with open(os.path.join(theirs, "sitecustomize.py"), "w") as file:
        file.write("import sys\nsys.path.insert(0, '/opt/vendor')\nsys.path.remove(%r)\nsys.path = sys.path + ['/added']\n" % gone)
    front = os.path.join(AGENT, "bootstrap")
    code = "import sys; print([entry for entry in sys.path if entry and '/lib' not in entry])"
    path = os.pathsep.join([front, theirs, gone])
    told = run_bare(bare, code, PLIMSOLL_CONTROL="/c", PYTHONPATH=path).stdout
    assert told == "%r\n" % ["/opt/vendor", front, theirs, "/added", AGENT]


def test_a_broken_sitecustomize_of_theirs_stays_theirs(bare, folder):
    theirs = os.path.join(folder, "theirs")
    os.makedirs(theirs)
    with open(os.path.join(theirs, "sitecustomize.py"), "w") as file:
        file.write("raise RuntimeError('theirs is broken')\n")
    path = os.path.join(AGENT, "bootstrap") + os.pathsep + theirs
    result = run_bare(bare, SHOW, PLIMSOLL_CONTROL="/c", PYTHONPATH=path)
    assert "theirs is broken" in result.stderr and "plimsoll_agent.activate" in result.stdout


def test_bootstrap_serves_a_gunicorn_that_has_no_agent_installed(serve, proxy):
    """The distribution's gunicorn, started by its own command."""
    if not os.path.exists("/usr/bin/gunicorn"):
        pytest.skip("no gunicorn of the distribution's")
    serve("debian", gunicorn("-w", "2", program=("/usr/bin/gunicorn",)), {"PYTHONPATH": os.path.join(AGENT, "bootstrap")}, proxy)
    assert all('"pid": %d' % agent.pid in ask(agent.address) for agent in proxy.ready(2))


@pytest.mark.parametrize("program", [("plimsoll-agent",), ("python", "-m", "plimsoll_agent")])
def test_run_sets_the_environment_and_becomes_the_server(program, serve, proxy):
    command = list(program) + ["run", "--control", proxy.address, "--pool", "shop", "--"] + gunicorn("-w", "2", program=("gunicorn",))
    server = serve("py311", command)
    workers = proxy.ready(2)
    assert workers[0].hello["pool"] == "shop" and workers[0].hello["ppid"] == server.pid


def test_the_wheel_brings_the_activation_and_takes_it_away(bare, folder):
    wheels = os.path.join(folder, "wheels")
    os.makedirs(wheels)
    wheel = conftest.build_wheel(wheels)
    pip = [sys.executable, "-m", "pip", "--python", os.path.join(bare, "bin", "python"), "--disable-pip-version-check"]
    site = run_bare(bare, "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    subprocess.run(pip + ["install", "--quiet", "--no-index", wheel], check=True)
    assert {"plimsoll-agent.pth", "plimsoll-agent.start", "plimsoll_agent"} <= set(os.listdir(site))
    assert "plimsoll_agent.activate" in run_bare(bare, SHOW, PLIMSOLL_CONTROL="/c").stdout
    assert os.path.exists(os.path.join(bare, "bin", "plimsoll-agent"))
    subprocess.run(pip + ["uninstall", "--quiet", "--yes", "plimsoll-agent"], check=True)
    assert not os.path.exists(site) or not [name for name in os.listdir(site) if "plimsoll" in name]


def test_the_start_file_names_a_function_that_exists():
    """Python 3.15 and later read it in place of the .pth file's import line."""
    with open(os.path.join(AGENT, "activation", "plimsoll-agent.start")) as file:
        module, _, function = file.read().strip().partition(":")
    sys.path.insert(0, AGENT)
    assert callable(getattr(__import__(module), function))
