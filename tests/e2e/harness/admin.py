"""The admin API as its users call it."""
import http.client
import json
import socket
import urllib.parse


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "<%d %s>" % (self.status, self.body[:300].decode("utf-8", "replace"))


def ask(address, method, path, body=None, fields=None, timeout=10.0):
    """One request on a connection of its own. address: "host:port" or "unix:/path"."""
    if address.startswith("unix:"):
        connection = UnixConnection(address[5:], timeout)
    else:
        host, _, port = address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request(method, path, body, fields or {})
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


class Admin:
    def __init__(self, address, token=None):
        self.address, self.fields = address, {"Authorization": "Bearer " + token} if token else {}

    def get(self, path, **more):
        return ask(self.address, "GET", path, fields=self.fields, **more)

    def post(self, path, body=b"", **more):
        return ask(self.address, "POST", path, body, fields=self.fields, **more)

    def read(self, path):
        answer = self.get(path)
        assert answer.status == 200, "GET %s: %r" % (path, answer)
        return answer.json

    def ready(self):
        try:
            return self.get("/readyz", timeout=2.0).status == 200
        except OSError:
            return False

    def workers(self, pool="app"):
        return self.read("/v1/pools/%s/workers" % pool)["workers"]

    def worker(self, name, pool="app"):
        return next((worker for worker in self.workers(pool) if worker["id"] == name), None)

    def serving(self, pool="app"):
        return [worker for worker in self.workers(pool) if worker["state"] == "serving"]

    def incidents(self):
        return self.read("/v1/incidents")["incidents"]

    def incident(self, identity):
        return self.read("/v1/incidents/" + urllib.parse.quote(identity))

    def file(self, identity, name):
        answer = self.get("/v1/incidents/%s/files/%s" % (identity, name))
        assert answer.status == 200, "file %s of %s: %r" % (name, identity, answer)
        return answer.body

    def act(self, action, worker, pool="app"):
        return self.post("/v1/pools/%s/workers/%s/%s" % (pool, worker, action))


def story(incident):
    """The timeline as text, for assertions and for whoever reads a failure."""
    return "\n".join(entry["event"] for entry in incident["timeline"])
