"""An incident as a page to attach to a ticket: opened in a real browser, it shows all of it, and does nothing else."""
import json
import shutil
import socket
import subprocess
import threading

from harness.fleets import fleet
from harness.waiting import PATIENCE

EVIL = "<script>document.title = 'taken over'</script><img src=http://127.0.0.1:%d/beacon onerror=\"document.title = 'taken over'\">"


class Listener:
    """Counts who comes: nobody should."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.came = self.socket.getsockname()[1], 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return
            self.came += 1


def opened_in_chromium(page, profile, dark=False):
    """The document as it is after the browser has loaded it and run whatever would run."""
    chromium = shutil.which("chromium")
    assert chromium, "apt-get install chromium (tests/packages.txt names it)"
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
               "--disable-component-update", "--no-first-run", "--user-data-dir=%s" % profile, "--virtual-time-budget=2000", "--dump-dom",
               page.as_uri()]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60 * PATIENCE, check=True).stdout


def test_an_incident_opens_in_a_browser_and_what_an_attacker_named_stays_text(plimsoll, tmp_path):
    listener = Listener()
    evil = EVIL % listener.port
    # The attacker's words come as an operator's reason and as the output of a command: the ways that are open to a test.
    capture = {"command": ["/bin/sh", "-c", "cat > /dev/null < /dev/null; printf '%s' \"$0\"", evil]}
    proxy = plimsoll(fleet("sync", workers=2, capture=capture)).start()
    worker = proxy.wait_serving(2)[0]["id"]
    answer = proxy.admin.post("/v1/pools/app/workers/%s/recycle" % worker, json.dumps({"reason": evil}).encode())
    assert answer.status == 202, repr(answer)
    incident = proxy.closed(answer.json["incident"])
    page = tmp_path / "incident.html"
    done = proxy.cli("incidents", incident["id"], "--html", str(page), "--admin", proxy.admin.address)
    assert done.returncode == 0, done.stderr
    document = opened_in_chromium(page, tmp_path / "profile")
    assert "<title>Incident %s: %s</title>" % (incident["id"], worker) in document
    assert "taken over" in document and "<script>" not in document and "<img src=" not in document.replace('<img alt=', "")
    for part in ("drained in", "stacks.txt", "What happened", "</html>"):
        assert part in document, part
    assert listener.came == 0, "the page fetched something"


def test_a_page_that_would_fetch_something_is_seen_by_this_test(tmp_path):
    listener = Listener()
    page = tmp_path / "evil.html"
    page.write_text("<html><body>" + EVIL % listener.port + "</body></html>")
    assert "<title>taken over</title>" in opened_in_chromium(page, tmp_path / "profile")
    assert listener.came > 0
