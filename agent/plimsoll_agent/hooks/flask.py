"""Flask: the rule that matched is known, and its request current, when the response starts; also to the handlers of errors."""
import sys

from .. import quiet
from . import labels


def patch(module):
    if labels.switched_off():
        return
    plain = module.Flask.wsgi_app

    def wsgi_app(self, environ, start_response):
        def start(status, headers, *exc_info):
            add(environ, headers)
            return start_response(status, headers, *exc_info)
        return plain(self, environ, start)
    module.Flask.wsgi_app = wsgi_app


@quiet.guarded
def add(environ, headers):
    rule = sys.modules["flask"].request.url_rule
    if rule is None:
        return
    text = labels.label(environ.get("REQUEST_METHOD"), (environ.get("SCRIPT_NAME") or "").rstrip("/") + rule.rule, labels.angle)
    if text is not None:
        headers.append((labels.HEADER, text))
