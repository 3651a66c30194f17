"""Answers with what a WSGI application is told about a request: its environ, as JSON."""
import json


def wsgi(environ, start_response):
    told = {key: value for key, value in environ.items() if isinstance(value, str)}
    body = json.dumps(dict(told, BODY=environ["wsgi.input"].read().decode("latin-1"))).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
