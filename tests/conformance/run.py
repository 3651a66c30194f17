#!/usr/bin/env python3
"""The corpus against real proxies: what reaches the worker, what is refused, and whether a lying worker spoils another answer.

    tests/conformance/run.py                  Plimsoll alone; fails unless every verdict is right
    tests/conformance/run.py --peers          nginx and HAProxy too, where they are installed; prints who got how many right
    tests/conformance/run.py -v NAME...       these cases only, and everything that was seen
"""
import argparse
import collections
import concurrent.futures
import sys
import time

import corpus
from client import Client
from origin import Origin
from proxies import Plimsoll, peers_here

PROBE = b"GET /another HTTP/1.1\r\nHost: a\r\n\r\n"
ASKED = {
    "head": b"HEAD /scripted HTTP/1.1\r\nHost: a\r\n\r\n",
    "upgrade": b"GET /scripted HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "get": b"GET /scripted HTTP/1.1\r\nHost: a\r\n\r\n",
}
# Here the answer is good, and what is behind it must be nobody's.
LEFT_OVER = {"bytes_behind_the_response_are_another_answer"}
# The corpus has smaller limits than real answers.
WITHIN_LIMITS = {"head_too_large", "too_many_fields"}


def refused(answer, status, exact):
    """Right for us: the corpus' status. For another proxy: any refusal, or hanging up without a word."""
    if exact:
        return answer is not None and answer.status == status
    return answer is None or 400 <= answer.status < 600


def judge_request(case, proxy, origin, exact):
    """None: right. Else what is wrong with it."""
    with Client(proxy.address) as client:
        client.send(case.raw)
        answers = []
        wanted = case.number if case.verdict == "accept" else 1
        while len(answers) < wanted and (answer := client.answer()):
            answers.append(answer)
            if answer.status >= 400:
                break
        if case.verdict == "accept":
            client.finish()
        passed = case.verdict == "refuse" and answers and answers[-1].status < 400
        ended = passed or client.ends()
    seen, faults = origin.take()
    if faults:
        return "ambiguous bytes reached the worker: " + faults[0]
    last = answers[-1] if answers else None
    if case.verdict == "refuse":
        if seen:
            return "the worker got %r" % [request["method"] + " " + request["target"] for request in seen]
        if not refused(last, case.number, exact):
            return "it was answered with %s" % (last and last.status)
        return None if ended else "the connection stays open"
    own = 1 if case.expected.get("last_hop") == "1" else 0
    if len(answers) != wanted or any(answer.status >= 300 for answer in answers):
        return "it was answered with %s" % [answer.status for answer in answers]
    if len(seen) != wanted - own:
        return "the worker saw %d requests" % len(seen)
    if not ended:
        return "more came than %d answers" % wanted
    if own:
        return None
    if case.expected.get("body", seen[-1]["body"]) != seen[-1]["body"]:
        return "the worker got the body %r" % seen[-1]["body"][:60]
    if exact:
        target = case.expected.get("path", "") + case.expected.get("query", "")
        if "path" in case.expected and not seen[-1]["target"].startswith(target):
            return "the worker got the target %r" % seen[-1]["target"]
        trailers = ["%s: %s" % (name.decode(), value.decode()) for name, value in seen[-1]["trailers"]]
        trailer = case.expected.get("trailer")
        if trailers if trailer == "(absent)" else trailer is not None and trailer.lower() not in trailers:
            return "the worker got the trailers %r" % trailers
        if "authority" in case.expected and seen[-1]["host"] != case.expected["authority"]:
            return "the worker got the host %r" % seen[-1]["host"]
    return None


def judge_incomplete(case, proxy, exact):
    with Client(proxy.address, patience=15.0) as client:
        client.send(case.raw)
        answer = client.answer()
        too_large = answer is not None and answer.status == 413
        if not too_large and not refused(answer, 408, exact):
            return "it was answered with %s" % (answer and answer.status)
        return None if client.ends() else "the connection stays open"


def judge_response(case, proxy, origin, exact):
    asked = next(kind for kind in ASKED if kind == "get" or "(%s)" % kind in case.name)
    until_close = case.expected.get("framing") == "until_close"
    origin.script, origin.ends = case.raw, until_close or case.verdict == "incomplete" or case.name in WITHIN_LIMITS
    with Client(proxy.address) as client:
        client.send(ASKED[asked])
        answer = client.answer(to_head=asked == "head")
        origin.take()
        if answer and answer.status == 101:
            return None if case.expected.get("status") == "101" else "it switched protocols"
        client.send(PROBE)
        another = client.answer()
    if another and another.fields.get("x-saw") != "GET /another" and another.status == 200:
        return "the next request got the answer %s %r" % (another.status, another.fields)
    with Client(proxy.address) as client:
        client.send(PROBE)
        other = client.answer()
        if not other or other.fields.get("x-saw") != "GET /another":
            return "another client got the answer %s" % (other and (other.status, other.fields))
    if case.verdict == "accept":
        status = int(case.expected.get("status", 200)) if case.number == 1 else 200
        if not answer or not answer.complete or (exact and answer.status != status):
            return "the client got %s" % answer
        if case.number == 1 and asked != "head" and answer.body.decode("latin-1") != case.expected.get("body", answer.body.decode("latin-1")):
            return "the client got the body %r" % answer.body[:60]
        return None
    broken = answer is None or not answer.complete
    if case.name in LEFT_OVER | WITHIN_LIMITS:
        return None
    if exact and not broken and answer.status != 502:
        return "the client got %s" % answer
    return None if broken or answer.status >= 500 else "the client got %s" % answer


def judge(proxy, origin, requests, responses, exact):
    """(group, case) -> None or what is wrong."""
    results = {}
    Client.patience = 15.0 if exact else 1.0          # what another proxy lets hang is wrong anyhow
    origin.take()
    cut = [case for case in requests if case.verdict == "incomplete"]
    with concurrent.futures.ThreadPoolExecutor(len(cut) or 1) as pool:
        for case, wrong in zip(cut, pool.map(lambda case: judge_incomplete(case, proxy, exact), cut)):
            results["incomplete", case.name] = wrong
    seen, faults = origin.take()
    if seen or faults:
        results["incomplete", "(nothing of them reaches the worker)"] = "%r %r" % (seen, faults)
    for case in requests:
        if case.verdict != "incomplete":
            results[case.verdict, case.name] = judge_request(case, proxy, origin, exact)
    for case in responses:
        results["worker", case.name] = judge_response(case, proxy, origin, exact)
        origin.script = None
    origin.take()
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="nginx and HAProxy too")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what the others got wrong")
    parser.add_argument("names", nargs="*", help="these cases only")
    options = parser.parse_args()
    chosen = lambda case: not options.names or case.name in options.names
    requests = [case for case in corpus.load("requests.txt") if chosen(case)]
    responses = [case for case in corpus.load("responses.txt") if chosen(case)]
    by_the_rfc = {case.name for case in requests + responses if case.by_the_rfc}

    origin, table, failed = Origin(), {}, False
    for kind in [Plimsoll] + (peers_here() if options.peers else []):
        since = time.monotonic()
        proxy, exact = kind(origin.port), kind is Plimsoll
        try:
            results = judge(proxy, origin, requests, responses, exact)
        finally:
            proxy.stop()
        for (group, name), wrong in results.items():
            if wrong and (exact or options.verbose):
                print("%s: %s: %.300s" % (proxy.name, name, wrong))
            failed |= bool(wrong) and exact
        table[proxy.name] = collections.Counter(group for (group, name), wrong in results.items() if not wrong and name in by_the_rfc)
        everything = collections.Counter(group for group, name in results if name in by_the_rfc)
        print("%s: %d of %d verdicts right, %.1f s" % (proxy.name, sum(not wrong for wrong in results.values()), len(results),
                                                     time.monotonic() - since))
    print("\nby the RFC      must accept  must refuse   incomplete   worker lies       in all")
    for name, right in table.items():
        row = ["%d/%d" % (right[group], everything[group]) for group in ("accept", "refuse", "incomplete", "worker")]
        print("%-12s" % name + "".join("%14s" % cell for cell in row + ["%d/%d" % (sum(right.values()), sum(everything.values()))]))
    sys.exit(1 if failed else 0)


main()
