"""`plimsoll check`: every problem at once, each with its place and what would be right."""
import re

import pytest

GOOD = """\
[admin]
listen = "127.0.0.1:9180"
[[listener]]
address = "127.0.0.1:8080"
[[route]]
path = "/"
pool = "app"
[[pool]]
name = "app"
[pool.source]
kind = "static"
addresses = ["127.0.0.1:8001"]
"""
FIVE = """\
[proxy]
thraeds = 2
[[listener]]
address = "127.0.0.1:8080"
[[route]]
path = "/"
pool = "ap"
[[pool]]
name = "app"
[pool.source]
kind = "statik"
addresses = ["127.0.0.1:8001"]
[pool.memory]
limit = "512 potatoes"
[pool.recycle]
drain_timeout = 30
"""
PLACES = {2: "threads", 7: "app", 11: "static", 14: "limit", 16: "drain_timeout"}


def check(plimsoll, text):
    proxy = plimsoll()
    path = proxy.directory / "it.toml"
    path.write_text(text)
    return proxy.cli("check", str(path)), str(path)


def test_a_good_file_passes(plimsoll):
    done, _ = check(plimsoll, GOOD)
    assert done.returncode == 0, done


def test_five_mistakes_are_five_problems_with_their_places(plimsoll):
    done, path = check(plimsoll, FIVE)
    said = done.stdout + done.stderr
    assert done.returncode == 2, done
    found = {int(line): text for line, text in re.findall(re.escape(path) + r":(\d+):\d+:? (.*)", said)}
    assert sorted(found) == sorted(PLACES), said
    for line, word in PLACES.items():
        assert word in found[line], "line %d should speak of %s: %s" % (line, word, found[line])


def test_what_is_not_toml_is_one_problem_with_its_place(plimsoll):
    done, path = check(plimsoll, "[proxy\nthreads = 2\n")
    assert done.returncode == 2, done
    assert re.search(re.escape(path) + r":1:\d+", done.stdout + done.stderr), done


def test_a_file_that_is_not_there_is_named(plimsoll):
    done = plimsoll().cli("check", "nowhere.toml")
    assert done.returncode == 2 and "nowhere.toml" in done.stderr + done.stdout, done


FILES = """\
[proxy]
token_file = "%(nowhere)s"
[admin]
token_file = "%(empty)s"
[redis]
url = "rediss://127.0.0.1:6380"
password_file = "%(directory)s"
ca_file = "%(empty)s"
cert_file = "%(nowhere)s"
key_file = "%(empty)s"
[[pool]]
name = "app"
[pool.source]
kind = "static"
addresses = ["127.0.0.1:8001"]
"""


def test_files_that_serve_could_not_read_are_told_at_once(plimsoll, tmp_path):
    (tmp_path / "empty").write_text("")
    done, path = check(plimsoll, FILES % {"nowhere": tmp_path / "nowhere", "empty": tmp_path / "empty", "directory": tmp_path})
    said = done.stdout + done.stderr
    assert done.returncode == 2, done
    found = {int(line): text for line, text in re.findall(re.escape(path) + r":(\d+):\d+:? (.*)", said)}
    words = {2: "is not there", 4: "first line", 7: "is a directory", 8: "no certificate", 9: "is not there", 10: "no private key"}
    assert sorted(found) == sorted(words), said
    for line, word in words.items():
        assert word in found[line], said


@pytest.mark.parametrize("listen", ["0.0.0.0:9180", "[::]:9180", "192.0.2.1:9180"])
def test_an_admin_address_beyond_this_host_needs_a_token(plimsoll, listen):
    text = GOOD.replace('listen = "127.0.0.1:9180"', 'listen = "%s"' % listen)
    done, _ = check(plimsoll, text)
    assert done.returncode == 2 and "token" in done.stdout + done.stderr, done
    done, _ = check(plimsoll, text.replace("[admin]\n", '[admin]\ntoken = "a-secret-of-some-length"\n'))
    assert done.returncode == 0, done
