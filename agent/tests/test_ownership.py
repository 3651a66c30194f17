"""Whose code a file is: an application that is installed counts as the application, its libraries, server and framework do not."""
import json
import os
import sys
import types

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from fake_proxy import wait_for                         # noqa: E402
from plimsoll_agent import release                      # noqa: E402
from plimsoll_agent.capture import lines, ownership     # noqa: E402
from servers import ask, gunicorn                       # noqa: E402

DECODER = (os.path.join(os.path.dirname(json.__file__), "decoder.py"), 353)
READ = "def read(size):\n    data = bytearray(size)\n    return data\n"
ORDERS = "from shop_lib.rows import read\nkept = []\n\n\ndef remember():\n    kept.append(read(3000))\n"


def installed(folder, name, **files):
    """A package as pip leaves it. Its folder."""
    home = os.path.join(str(folder), "lib", "site-packages", *name.split("."))
    os.makedirs(home)
    for file, text in dict({"__init__": ""}, **files).items():
        if text is not None:
            with open(os.path.join(home, file + ".py"), "w") as out:
                out.write(text)
    return home


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site-packages that is searched, and nothing told of whose it is."""
    monkeypatch.setattr(sys, "path", [str(tmp_path / "lib" / "site-packages")] + sys.path)
    monkeypatch.setattr(ownership, "_told", {})
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    for name in ("PLIMSOLL_APP", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.delenv(name, raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_the_package_of_the_callable_is_the_applications_and_what_it_imports_is_not(site):
    shop, orm = installed(site, "shop_app", views=""), installed(site, "shop_lib")
    __import__("shop_app.views"), __import__("shop_lib")
    views = os.path.join(shop, "views.py")
    assert not ownership.is_own(views)
    ownership.tell("shop_app.views:create_app('a:b')")
    assert ownership.is_own(views) and ownership.is_own(os.path.join(shop, "deep", "models.py"))
    assert not ownership.is_own(os.path.join(orm, "__init__.py")) and not ownership.is_own(shop + "_tools/a.py")
    assert not ownership.is_own(DECODER[0])


def test_an_installed_applications_line_is_named_and_its_helper_hands_on(site):
    shop, lib = installed(site, "shop", orders=ORDERS), installed(site, "shop_lib", rows=READ)
    __import__("shop.orders")
    stack = [((os.path.join(lib, "rows.py"), 2), (os.path.join(shop, "orders.py"), 6)), 3000, 1]
    assert lines.fold([stack], 5)[0]["line"] == 2
    ownership.tell("shop.wsgi")
    assert (lines.fold([stack], 5)[0]["file"], lines.fold([stack], 5)[0]["line"]) == (os.path.join(shop, "orders.py"), 6)
    os.environ["PLIMSOLL_APP"] = "shop, shop_lib"
    try:
        assert ownership.is_own(os.path.join(lib, "rows.py"))
        assert lines.fold([stack], 5)[0]["line"] == 6           # as the keeper's rules have it: read() hands on what it makes
    finally:
        del os.environ["PLIMSOLL_APP"]


def test_an_installed_application_has_a_release(site):
    shop = installed(site, "shop", orders="a = 1\n")
    __import__("shop.orders")
    before = release.of_code()
    ownership.tell("shop.orders:app")
    first = release.of_code()
    assert first is not None and first != before
    with open(os.path.join(shop, "orders.py"), "w") as file:
        file.write("a = 2\n")
    assert release.of_code() != first


@pytest.mark.parametrize("name", ["gunicorn.app.wsgiapp", "uvicorn", "flask:app", "django.core.asgi:get_asgi_application", "a2wsgi", "json.tool",
                                  "plimsoll_agent", "__main__:app", "config:/etc/shop.ini", "/srv/shop.py", "", None, 5])
def test_servers_frameworks_and_what_wraps_applications_are_never_the_applications(name, site):
    ownership.tell(name)
    assert ownership.packages() == []


def test_who_names_a_framework_as_the_application_gets_it(site, monkeypatch):
    flask = installed(site, "flask")
    __import__("flask")
    monkeypatch.setenv("PLIMSOLL_APP", "flask")
    ownership.tell("shop.wsgi")
    assert ownership.packages() == ["flask"] and ownership.is_own(os.path.join(flask, "__init__.py"))


def test_of_django_the_project_is_the_settings(site, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop.settings.production")
    ownership.tell("django.core.wsgi:get_wsgi_application()")
    assert ownership.packages() == ["shop"]


def test_a_program_is_the_application_only_where_no_other_is_known(site):
    main = sys.modules["__main__"]
    main.__spec__ = types.SimpleNamespace(name="shop.__main__")
    assert ownership.packages() == ["shop"]
    main.__spec__ = types.SimpleNamespace(name="gunicorn.__main__")
    assert ownership.packages() == []
    main.__spec__ = types.SimpleNamespace(name="runner.__main__")
    ownership.tell("shop.wsgi:app")
    assert ownership.packages() == ["shop"]


def test_of_a_namespace_that_many_share_only_the_part_with_the_application_is_its(site):
    shop, other = installed(site, "company.shop"), installed(site, "company.other")
    __import__("company.shop"), __import__("company.other")
    ownership.tell("company.shop:app")
    assert ownership.is_own(os.path.join(shop, "a.py")) and not ownership.is_own(os.path.join(other, "__init__.py"))


def test_an_environment_within_the_applications_folder_stays_installed(site, monkeypatch):
    module = types.ModuleType("shop")
    module.__path__, module.__file__ = ["/srv/shop"], "/srv/shop/__init__.py"
    monkeypatch.setitem(sys.modules, "shop", module)
    ownership.tell("shop.wsgi")
    assert ownership.is_own("/srv/shop/views.py") and not ownership.is_own("/srv/shop/venv/lib/python3.11/site-packages/orm/row.py")


def placed(folder, path, text=""):
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return str(file)


def test_what_pip_put_into_a_folder_of_the_applications_is_installed_and_what_lies_beside_it_is_not(site):
    orm, alone = placed(site, "srv/deps/orm/deep/row.py"), placed(site, "srv/deps/six_alone.py")
    unlisted, mine, top = (placed(site, "srv/deps/" + name) for name in ("bare_dist/a.py", "shop/views.py", "main.py"))
    placed(site, "srv/deps/orm-2.0.dist-info/RECORD", "orm/deep/row.py,sha256=x,1\n../../bin/orm,,\nsix_alone.py,,\norm-2.0.dist-info/RECORD,,\n")
    placed(site, "srv/deps/bare_dist-1.0.dist-info/METADATA")
    own = ownership.Own()
    assert [own.has(file) for file in (orm, alone, unlisted, mine, top)] == [False, False, False, True, True]
    wheel = placed(site, ".pex/installed_wheels/0a/orm-2.0-py3-none-any.whl/orm/row.py")
    placed(site, ".pex/installed_wheels/0a/orm-2.0-py3-none-any.whl/orm-2.0.dist-info/RECORD", "orm/row.py,,\n")
    assert not own.has(wheel)


def test_each_folder_is_looked_at_once_and_not_without_end(site, monkeypatch):
    looked = []
    monkeypatch.setattr(ownership, "_listed", {})
    monkeypatch.setattr(ownership, "_installed_into", lambda folder: looked.append(folder) or frozenset())
    own = ownership.Own()
    assert all(own.has("/srv/shop/%d.py" % number) for number in range(9)) and looked == ["/srv/shop", "/srv", "/"]
    monkeypatch.setattr(ownership, "MOST_FOLDERS", 3)
    assert own.has("/opt/shop/a.py") and len(looked) == 3


def test_an_application_that_is_installed_beside_its_libraries_stays_its_own(site):
    views, orm = placed(site, "deps/shop/views.py"), placed(site, "deps/shop/vendor/orm/row.py")
    placed(site, "deps/shop/__init__.py")
    placed(site, "deps/shop-1.0.dist-info/RECORD", "shop/views.py,,\n")
    placed(site, "deps/shop/vendor/orm-1.0.dist-info/RECORD", "orm/row.py,,\n")
    sys.path.insert(0, str(site / "deps"))
    assert not ownership.is_own(views)
    __import__("shop")
    ownership.tell("shop.wsgi")
    assert ownership.is_own(views) and not ownership.is_own(orm)


def test_a_known_library_is_nobodys_wherever_it_was_imported_from(site, monkeypatch):
    module = types.ModuleType("sqlalchemy")
    module.__path__, module.__file__ = ["/function/python_packages/sqlalchemy"], "/function/python_packages/sqlalchemy/__init__.py"
    monkeypatch.setitem(sys.modules, "sqlalchemy", module)
    state = "/function/python_packages/sqlalchemy/orm/state.py"
    assert not ownership.is_own(state) and ownership.is_own("/function/shop.py")
    monkeypatch.setenv("PLIMSOLL_APP", "sqlalchemy")
    assert ownership.is_own(state) and not ownership.is_own("/function/shop.py")


def loaded(monkeypatch, **files):
    for name, file in files.items():
        module = types.ModuleType(name)
        module.__file__ = file
        monkeypatch.setitem(sys.modules, name, module)


def test_a_folder_that_is_a_link_is_known_by_both_its_names(site, monkeypatch):
    views, lib = placed(site, "releases/42/views.py"), placed(site, "lib/tools.py")
    (site / "current").symlink_to(site / "releases" / "42")
    linked = str(site / "current" / "views.py")
    for file in (views, linked):
        loaded(monkeypatch, shop_views=file, lib_tools=lib)
        for named in ("current", "releases/42"):
            monkeypatch.setenv("PLIMSOLL_APP", str(site / named))
            assert [ownership.is_own(each) for each in (views, linked, lib)] == [True, True, False]


def test_a_path_in_which_nothing_lies_leaves_the_usual_rules_and_is_told_once(site, monkeypatch, capfd):
    views, orm = placed(site, "srv/views.py"), installed(site, "orm")
    shop = installed(site, "shop")
    __import__("shop")
    ownership.tell("shop.wsgi")
    loaded(monkeypatch, shop_views=views)
    monkeypatch.setenv("PLIMSOLL_APP", str(site / "elsewhere"))
    assert [ownership.is_own(file) for file in (views, shop + "/a.py", orm + "/a.py")] == [True, True, False]
    assert capfd.readouterr().err.count("nothing that is loaded lies in") == 1


def test_what_starts_a_program_is_nobodys_and_what_somebody_wrote_beside_it_is_the_applications(site, monkeypatch):
    for command in ("/usr/local/bin/gunicorn", "/home/me/.local/bin/uvicorn", "/srv/deps/bin/gunicorn", "C/Scripts/gunicorn"):
        assert not ownership.is_own(command)
    assert ownership.is_own("/srv/bin/serve.py") and ownership.is_own("/srv/serve")
    link = site / "start"
    link.symlink_to(placed(site, "deps/bin/gunicorn"))
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(link), raising=False)
    assert not ownership.is_own(str(link))


def test_a_command_tells_its_package_and_a_program_that_imports_this_and_that_tells_none(site, monkeypatch):
    def function(module):
        made = types.FunctionType((lambda: None).__code__, {})
        made.__module__ = module
        return made
    main = sys.modules["__main__"]
    main.__file__ = "/usr/local/bin/shop"
    for modules, expected in ((["shop.cli"], ["shop"]), (["celery.__main__"], []), (["shop.cli", "tools.text"], []), (["gunicorn.app.wsgiapp"], [])):
        for number in range(2):
            main.__dict__.pop("f%d" % number, None)
        main.__dict__.update(("f%d" % number, function(name)) for number, name in enumerate(modules))
        assert ownership.packages() == expected


def test_the_standard_library_is_known_by_the_path_that_code_has_and_without_links(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    assert set(ownership._both([str(tmp_path / "link"), None])) == {str(tmp_path / "link") + "/", os.path.realpath(str(real)) + "/"}


def test_only_what_is_named_is_the_applications_where_it_is_named(site, monkeypatch):
    views, lib = placed(site, "srv/shop/views.py"), placed(site, "srv/lib/tools.py")
    loaded(monkeypatch, shop_views=views, lib_tools=lib)
    for named, expected in ((str(site / "srv" / "shop"), [True, False]), (lib, [False, True]), ("nowhere_to_be_found", [True, True])):
        monkeypatch.setenv("PLIMSOLL_APP", named)
        assert [ownership.is_own(file) for file in (views, lib)] == expected
    assert "/" not in "".join(ownership.packages())


def test_a_module_alone_may_be_the_application(site):
    home = installed(site, "other")
    path = os.path.join(os.path.dirname(home), "shop_alone.py")
    with open(path, "w") as file:
        file.write("app = None\n")
    __import__("shop_alone")
    ownership.tell("shop_alone:app")
    assert ownership.is_own(path) and not ownership.is_own(os.path.join(home, "__init__.py"))


def test_without_a_frame_of_the_applications_the_innermost_that_is_not_pythons_own_answers():
    orm, flask = ("/v/lib/python3.11/site-packages/orm/row.py", 5), ("/v/lib/python3.11/site-packages/flask/app.py", 9)
    row, = lines.fold([[(DECODER, orm, flask), 10, 1]], 5)
    assert (row["file"], row["line"]) == orm
    row, = lines.fold([[(DECODER,), 10, 1]], 5)
    assert (row["file"], row["line"]) == DECODER


WSGI = ("import json\nfrom shop import orders\n\n\ndef app(environ, start_response):\n    orders.remember()\n"
        "    start_response('200 OK', [])\n    return [b'ok']\n")
ASGI = ("from shop import orders\n\n\nasync def app(scope, receive, send):\n    if scope['type'] != 'http':\n        return\n    orders.remember()\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': b'ok'})\n")
PROGRAM = "import sys, uvicorn\nfrom shop.asgi import app\nuvicorn.run(app, uds=sys.argv[1])\n"
UVICORN = ["python", "-m", "uvicorn", "--uds", "{public}"]


@pytest.mark.parametrize("command", [
    gunicorn("-w", "1", module="shop.wsgi:app"), gunicorn("-w", "1", "--preload", module="shop.wsgi"),
    gunicorn("-w", "1", "-k", "uvicorn_worker.UvicornWorker", module="shop.asgi:app"),
    UVICORN + ["shop.asgi:app"], ["python", "-m", "shop", "{public}"],
], ids=["gunicorn", "preload", "uvicorn worker", "uvicorn", "program"])
def test_servers_tell_which_package_is_the_applications(command, serve, proxy, folder):
    installed(folder, "shop", orders=ORDERS, wsgi=WSGI.replace("def app", "def application") + "\n\napp = application\n", asgi=ASGI, __main__=PROGRAM)
    installed(folder, "shop_lib", rows=READ)
    serve("py311", command, {"PYTHONPATH": os.path.join(folder, "lib", "site-packages")}, proxy)
    agent, = proxy.ready(1)
    assert (wait_for(lambda: agent.release, "the release") or "").startswith("code-")
    assert agent.command("trace_start")["ok"]
    for _ in range(20):
        assert ask(agent.address) == "ok"
    lines_found = agent.command("trace_stop")["data"]["lines"]
    assert lines_found[0]["file"].endswith("site-packages/shop/orders.py") and lines_found[0]["line"] == 6, lines_found
    assert lines_found[0]["function"] == "remember"
