"""No client can forge what an application trusts: real gunicorn, uWSGI and uvicorn tell what they were told."""
import json
import re
import socket

import pytest
from harness.fleets import fleet

# Each with the value "evil", which must not reach the application under any name; a refusal is as good.
FORGED = [
    "X-Forwarded-For: evil", "X_Forwarded_For: evil", "X-Forwarded_For: evil", "x_forwarded-for: evil", "X-FORWARDED-FOR: evil",
    "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: evil", "X-Forwarded-For: 10.0.0.1, evil",
    "X-Forwarded-Proto: evil", "X_Forwarded_Proto: evil", "X-Forwarded-Protocol: evil", "X-Forwarded-Ssl: evil", "X-Scheme: evil",
    "X-Url-Scheme: evil", "Front-End-Https: evil", "X-Forwarded-Host: evil", "X-Forwarded-Server: evil", "X-Forwarded-Port: evil",
    "X-Forwarded-Prefix: evil", "X-Forwarded-User: evil", "X-Forwarded: evil", "Forwarded-For: evil", "Forwarded: for=evil;proto=https",
    "X-Real-IP: evil", "X_Real_IP: evil", "X-Client-IP: evil", "Client-IP: evil", "True-Client-IP: evil", "CF-Connecting-IP: evil",
    "Fastly-Client-IP: evil", "X-Cluster-Client-IP: evil", "X-Original-Forwarded-For: evil", "X-Envoy-External-Address: evil",
    "X-Original-URL: /evil", "X-Rewrite-URL: /evil", "X-Original-Host: evil",
    "Remote-User: evil", "X-Remote-User: evil", "REMOTE_USER: evil", "Remote_Addr: evil", "X-Authenticated-User: evil",
    "X-Script-Name: /evil", "X-Originating-IP: evil", "X-Remote-Groups: evil", "X-Auth-Request-Email: evil", "SSL-Client-Verify: evil",
    "Remote-Groups: evil", "Client-Cert: :evil:", "X-SSL-Client-Verify: evil", "X_SSL_Client_S_DN: evil",
    "X-Request-Id: evil", "X_Request_Id: evil", "traceparent: evil", "tracestate: evil",
    "X-Plimsoll-Route: evil", "X_Plimsoll_Route: evil", "x-PLIMSOLL-anything: evil",
    "X-WebAuth-User: evil", "x-webauth-USER: evil", "Tailscale-User-Login: evil",
    "Proxy: http://evil", "Content_Length: evil", "Content_Type: evil", "Transfer_Encoding: evil", "Wsgi_Url_Scheme: evil",
    "Script_Name: /evil", "SCRIPT_NAME: /evil", "X-Plimsoll-Reason: evil",
    "Host: evil", ": evil", "X-Forwarded-For : evil", " X-Forwarded-For: evil", "X-A: b\r\n X-Forwarded-For: evil",
    "X-Forwarded-For:\tevil", "X-Forwarded-For: a\rX-Real-IP: evil", "X-Forwarded-For: a\nX-Real-IP: evil", "X-\0: evil",
    "Connection: X-Forwarded-For, X-Request-Id\r\nX-Forwarded-For: evil", "Keep-Alive: evil", "TE: evil", "Proxy-Authorization: evil",
]
CLAIMS = {"HTTP_X_FORWARDED_FOR": "127.0.0.1", "HTTP_X_FORWARDED_PROTO": "http", "HTTP_X_FORWARDED_HOST": "shop.example",
          "HTTP_HOST": "shop.example", "SCRIPT_NAME": "", "PATH_INFO": "/path", "QUERY_STRING": "q=1"}


def exchange(proxy, fields, request_line="GET /path?q=1 HTTP/1.1", host="shop.example"):
    """The status, and the environ where there is one."""
    raw = "%s\r\nHost: %s\r\n%s\r\nConnection: close\r\n\r\n" % (request_line, host, fields)
    with socket.create_connection(proxy.address, timeout=30) as client:
        client.sendall(raw.encode("latin-1"))
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head[9:12])
    return status, json.loads(body) if status == 200 else None


def check_untouched(environ, case):
    told = json.dumps(environ)
    assert "evil" not in told, "%r reached the application: %s" % (case, told)
    assert {key: environ.get(key) for key in CLAIMS} == CLAIMS, case
    assert environ["HTTP_FORWARDED"] == 'for=127.0.0.1;host="shop.example";proto=http', case
    assert re.fullmatch("[0-9a-f]{32}", environ["HTTP_X_REQUEST_ID"]), case
    assert environ["HTTP_TRACEPARENT"].split("-")[1] == environ["HTTP_X_REQUEST_ID"], case


@pytest.mark.parametrize("kind", ["sync", "gthread", "uwsgi", "command-uvicorn"])
def test_a_stranger_forges_nothing(plimsoll, kind):
    config = fleet(kind, 1, app="environ:asgi" if kind == "command-uvicorn" else "environ:wsgi")
    proxy = plimsoll(dict(config, proxy={"trusted_fields": ["X-WebAuth-User", "Tailscale-*"]})).start()
    proxy.wait_serving(1)
    check_untouched(exchange(proxy, "X-Harmless: 1")[1], "nothing")
    refused = 0
    for case in FORGED:
        status, environ = exchange(proxy, case)
        assert status == 200 or 400 <= status < 500, (case, status)
        refused += status != 200
        if environ is not None:
            check_untouched(environ, case)
    assert 5 < refused < 20                                     # most are answered without the claim, not refused
    assert exchange(proxy, "X-A: b", "GET http://shop.example/path?q=1 HTTP/1.1", host="evil")[1]["HTTP_HOST"] == "shop.example"


def test_a_uwsgi_application_hears_of_the_clients_port_and_never_of_a_proxys(plimsoll):
    config = fleet("uwsgi", 1, app="environ:wsgi")
    proxy = plimsoll(dict(config, proxy={"trusted_proxies": ["127.0.0.0/8"]})).start()
    proxy.wait_serving(1)
    with socket.create_connection(proxy.address, timeout=30) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
        environ = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("127.0.0.1", str(client.getsockname()[1]))
    environ = exchange(proxy, "X-Forwarded-For: 203.0.113.7:51000")[1]
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("203.0.113.7", "51000")
    environ = exchange(proxy, "X-Forwarded-For: 203.0.113.7")[1]
    assert environ["REMOTE_ADDR"] == "203.0.113.7" and "REMOTE_PORT" not in environ


def test_a_trusted_proxy_is_believed_as_far_as_it_may(plimsoll):
    config = dict(fleet("sync", 1, app="environ:wsgi"), proxy={"trusted_proxies": ["127.0.0.0/8"], "trusted_fields": ["X-WebAuth-User"]})
    proxy = plimsoll(config).start()
    proxy.wait_serving(1)
    environ = exchange(proxy, "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: www.example\r\n"
                              "X-Real-IP: 203.0.113.7\r\nX-Request-Id: abc-1\r\nX-WebAuth-User: alice")[1]
    assert environ["HTTP_X_FORWARDED_FOR"] == "203.0.113.7, 127.0.0.1"
    assert environ["HTTP_X_FORWARDED_PROTO"] == "https"
    assert environ["HTTP_X_FORWARDED_HOST"] == "www.example"
    assert environ["HTTP_X_REAL_IP"] == "203.0.113.7"
    assert environ["HTTP_X_REQUEST_ID"] == "abc-1"
    assert environ["HTTP_X_WEBAUTH_USER"] == "alice"
    for case in ["X_Forwarded_For: evil", "X-Plimsoll-Route: evil", "X_Real_IP: evil", "Proxy: http://evil", "Content_Length: evil"]:
        assert "evil" not in json.dumps(exchange(proxy, case)[1]), case
