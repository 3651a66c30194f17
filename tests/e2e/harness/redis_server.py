"""A redis-server of the test's own (Debian's redis-server package), and Redis as seen through redis-cli."""
import signal
import subprocess

from .proxy import free_port
from .waiting import until


class Redis:
    """On a port and a unix socket, in the directory of the proxy that it is started beside and under its mark."""

    def __init__(self, proxy, *options, tls=None):
        self.proxy, self.options, self.tls = proxy, options, tls
        self.port, self.process, self.secret = free_port(), None, None
        self.socket = proxy.directory / ("redis-%d.sock" % self.port)

    @property
    def url(self):
        return "%s://127.0.0.1:%d" % ("rediss" if self.tls else "redis", self.port)

    def start(self):
        ports = ["--port", "0", "--tls-port", self.port] if self.tls else ["--port", self.port]
        files = []
        for option, name in (("--tls-cert-file", "cert"), ("--tls-key-file", "key"), ("--tls-ca-cert-file", "ca")):
            if self.tls:
                files += [option, self.tls[name]]
        self.process = self.proxy.beside(["redis-server", *ports, *files, "--bind", "127.0.0.1", "--unixsocket", self.socket,
                                          "--save", "", "--dir", self.proxy.directory,
                                          "--set-proc-title", "no", *self.options])       # a title would overwrite the mark
        until(lambda: self.cli("ping") in ("PONG", "NOAUTH Authentication required."), 10, "redis-server answers")
        return self

    def cli(self, *words):
        who = ["-a", self.secret, "--no-auth-warning"] if self.secret else []
        said = subprocess.run(["redis-cli", "-s", self.socket, *who, *map(str, words)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=10)
        return said.stdout.strip()

    def stop_answering(self):
        self.process.send_signal(signal.SIGSTOP)

    def answer_again(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()


def certificates(directory, name="127.0.0.1"):
    """A self-made authority and a certificate of it for an address: their files."""
    files = {each: directory / ("%s-%s.pem" % (name, each)) for each in ("ca", "ca-key", "cert", "key", "request", "names")}
    files["names"].write_text("subjectAltName=IP:%s\n" % name)

    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
            "-keyout", files["ca-key"], "-out", files["ca"])
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=redis", "-keyout", files["key"], "-out", files["request"])
    openssl("x509", "-req", "-in", files["request"], "-CA", files["ca"], "-CAkey", files["ca-key"], "-days", "2",
            "-extfile", files["names"], "-out", files["cert"])
    return files
