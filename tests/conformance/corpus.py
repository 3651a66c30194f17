"""tests/corpus/http/*.txt; the format stands on top of those files."""
import dataclasses
import pathlib
import re

DIRECTORY = pathlib.Path(__file__).resolve().parents[1] / "corpus" / "http"
SIMPLE = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}


@dataclasses.dataclass
class Case:
    name: str
    section: str
    verdict: str                                    # "accept", "refuse" or "incomplete"
    number: int                                     # of requests accepted, or the status of the refusal
    raw: bytes = b""
    expected: dict = dataclasses.field(default_factory=dict)

    @property
    def by_the_rfc(self):
        """Not a choice of this proxy's: another one may be judged by it."""
        return not self.section.startswith("policy")


def unescape(line):
    line = re.sub(r"\\\{(\d+):(.*?)\}", lambda match: match[2] * int(match[1]), line)
    return re.sub(r"\\(x[0-9a-f]{2}|.)", lambda match: SIMPLE.get(match[1]) or chr(int(match[1][1:], 16)), line)


def load(name):
    cases = []
    for line in (DIRECTORY / name).read_text().splitlines():
        if line.startswith("== "):
            title, rest = line[3:].split(" | ", 1)
            section, verdict = rest.rsplit(" | ", 1)
            word, _, number = verdict.partition(" ")
            cases.append(Case(title, section, word, int(number or 1)))
        elif line.startswith("> "):
            key, _, value = line[2:].partition(" ")
            cases[-1].expected[key] = unescape(value)
        elif line and line[0] != "#":
            cases[-1].raw += unescape(line).encode("latin-1")
    return cases
