"""Answers with what an application is told about a request: its environ, as JSON. ASGI's scope is written as WSGI would have it."""
import json


def wsgi(environ, start_response):
    told = {key: value for key, value in environ.items() if isinstance(value, str)}
    body = json.dumps(dict(told, BODY=environ["wsgi.input"].read().decode("latin-1"))).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    told = {"SCRIPT_NAME": scope["root_path"], "PATH_INFO": scope["path"], "QUERY_STRING": scope["query_string"].decode(),
            "SCHEME": scope["scheme"], "CLIENT": str(scope["client"])}
    for name, value in scope["headers"]:
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        told[key] = ",".join([told[key], value.decode("latin-1")] if key in told else [value.decode("latin-1")])
    body = json.dumps(told).encode()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
