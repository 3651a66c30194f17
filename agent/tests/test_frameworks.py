"""Route labels: the frameworks' own patterns in X-Plimsoll-Route, by the environment alone, under each server; and never at the
application's cost."""
import os
import subprocess
import sys

import pytest

import venvs
from servers import gunicorn, headers

AGENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, AGENT)

from plimsoll_agent.hooks import labels     # noqa: E402

VENV = "frameworks"
FLASK = [("/orders/7", 200, "GET /orders/{number}"), ("/gone/x", 410, "GET /gone/{name}"), ("/broken/a/b", 500, "GET /broken/{name}"),
         ("/stream/x", 200, "GET /stream/{name}"), ("/orders/none", 404, None)]
DJANGO = [("/orders/7", 200, "GET /orders/{number}"), ("/archive/2024/", 200, "GET /archive/{year}/{}"), ("/gone/x", 404, "GET /gone/{name}"),
          ("/broken/a/b", 500, "GET /broken/{name}"), ("/orders/none", 404, None)]
FASTAPI = [("/orders/7", 200, "GET /orders/{number}"), ("/orders/none", 422, "GET /orders/{number}"), ("/gone/x", 410, "GET /gone/{name}"),
           ("/broken/a/b", 500, "GET /broken/{name}"), ("/admin/pages/x", 200, "GET /admin/pages/{slug}"), ("/nowhere", 404, None)]


def labels_of(address, requests):
    found = []
    for path, _, _ in requests:
        status, fields = headers(address, path)
        found.append((path, status, fields.get("x-plimsoll-route")))
    return found


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
@pytest.mark.parametrize("module, expected", [("apps.flask_app:app", FLASK), ("apps.django_app:app", DJANGO)], ids=["flask", "django"])
def test_gunicorn_tells_the_frameworks_pattern(kind, module, expected, serve, proxy):
    serve(VENV, gunicorn("-w", "1", "-k", kind, module=module), proxy=proxy)
    agent, = proxy.ready(1)
    assert labels_of(agent.address, expected) == expected


@pytest.mark.parametrize("module, expected", [("apps.fastapi_app:app", FASTAPI), ("apps.django_app:asgi", DJANGO)], ids=["fastapi", "django"])
def test_uvicorn_tells_the_frameworks_pattern(module, expected, serve, proxy):
    serve(VENV, ["python", "-m", "uvicorn", "--uds", "{public}", "--app-dir", "{here}", module], proxy=proxy)
    agent, = proxy.ready(1)
    assert labels_of(agent.address, expected) == expected


def test_gunicorn_with_uvicorn_workers_tells_it_too(serve, proxy):
    serve(VENV, gunicorn("-w", "1", "-k", "uvicorn_worker.UvicornWorker", module="apps.fastapi_app:app"), proxy=proxy)
    agent, = proxy.ready(1)
    assert labels_of(agent.address, FASTAPI) == FASTAPI


def test_it_can_be_switched_off(serve, proxy):
    serve(VENV, gunicorn("-w", "1", module="apps.flask_app:app"), {"PLIMSOLL_ROUTES": "off"}, proxy)
    agent, = proxy.ready(1)
    assert labels_of(agent.address, FLASK[:1]) == [("/orders/7", 200, None)]


def test_one_line_in_the_application_does_as_well(install, folder):
    code = ("import sys; sys.path.insert(0, %r)\nfrom apps.flask_app import app\nimport plimsoll_agent\n"
            "app = plimsoll_agent.routes(app)\nprint(app.test_client().get('/orders/7').headers['X-Plimsoll-Route'])" % os.path.dirname(__file__))
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PLIMSOLL", "PYTHON"))}
    run = subprocess.run([venvs.python_of(install(VENV)), "-c", code], stdout=subprocess.PIPE, universal_newlines=True, check=True, env=env)
    assert run.stdout == "GET /orders/{number}\n"


@pytest.mark.parametrize("spell, pattern, path", [
    (labels.angle, "/a/<b>/<any(x,y):c>", "/a/{b}/{c}"),
    (labels.brace, "/a/{b:path}", "/a/{b}"),
    (labels.brace, "", "/"),
    (labels.django, r"^a/(?P<b>[(]x\))/c\.html$", "/a/{b}/c.html"),
    (labels.django, r"a/<int:b>/^c/((d)|e)$", "/a/{b}/c/{}"),
    (labels.django, "a/<b", "/a/<b"),
    (labels.django, "^(((", "/"),
])
def test_patterns_are_spelled_alike(spell, pattern, path):
    assert labels.label("GET", pattern, spell) == "GET " + path


def test_a_label_cannot_break_the_head():
    assert labels.label("GET", "/a\r\nX: é", labels.angle) == "GET /a??X:??"
    assert labels.label("GET\r\nX", "/a", labels.angle) is None and labels.label("GET", None, labels.angle) is None
    assert len(labels.label("GET", "/" + "a" * 10000, labels.angle)) <= 204
