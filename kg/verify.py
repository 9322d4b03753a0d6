"""Verify: replay a determination by code that shares nothing with the code that produced it, and compare.

Only the parsers and the terms are shared: how Turtle is read, and how a claim document becomes facts. The knowledge
is read and hashed again (`kg.replay.book`), what follows from the facts is derived again (`kg.replay.rules`), the
criteria are read from the shapes graph and their statuses and witnesses found again (`kg.replay.reading`), every line
is decided again under every posture (`kg.replay.judge`), what would change it is found again by trying
(`kg.replay.changes`), and all of it is put into words again (`kg.replay.words`) and told again (`kg.replay.told`).

Equal input gives equal output, so a determination holds if it is what the replay tells, to the word and in the same
order; every edit of it is an edit of that. Beyond this each witness is tried by itself: it must suffice, and without
any one of its triples it must not. What is bounded is said in `kg.replay.changes`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kg.errors import ClaimError, Fault
from kg.replay.book import Book, book_of, files_of, find_root, hash_of
from kg.replay.form import misfits
from kg.replay.told import Teller
from kg.terms import local_name

if TYPE_CHECKING:
    from kg.load import Claim

Json = Mapping[str, Any]
STEPS = {
    "document": "the document has the form of a determination",
    "knowledge": "it was made with this ontology and these shapes",
    "claim": "it is about this claim, under an edition in force on the date of service",
    "lines": "its lines are those of the claim, and its decision is theirs",
    "derivations": "what follows from the facts follows by the rules, from the triples that are named",
    "edits": "the coding edits that hold are those that are listed",
    "tree": "the criteria are those of the policy, none hidden and none added",
    "status": "each criterion has the status that the facts give it",
    "witness": "each witness is true, suffices and holds no needless triple",
    "alternatives": "all witnesses of the grounds of a denial are listed",
    "decision": "each line is decided under each posture as the rules say, with its caveats and assumptions",
    "because": "the criteria that decided are named, with the reason of a denial",
    "grounds": "all minimal grounds of a denial are listed",
    "guidance": "guidelines that speak of the line are listed, and where they part from the policy",
    "missing": "what is missing is asked for, all of it and nothing else",
    "changes": "what would change the decision is listed, nothing less would, and nothing else",
    "words": "the words are those of the triples, of the criteria and of the ontology",
}
STEP_OF = {  # the step that checks a part of a determination; what is not here belongs to the part around it
    **dict.fromkeys(("claim", "policy", "serviceDate", "posture"), "claim"),
    **dict.fromkeys(("path", "parts"), "tree"),
    **dict.fromkeys(("witnesses", "sources"), "witness"),
    **dict.fromkeys(("derivations", "derived"), "derivations"),
    **dict.fromkeys(("decision", "decisions", "postures", "caveats", "assumptions"), "decision"),
    **dict.fromkeys(("because", "reason", "note"), "because"),
    **dict.fromkeys(("guidance", "conflicts"), "guidance"),
    **dict.fromkeys(("changes", "flips", "decidedRegardless"), "changes"),
    **dict.fromkeys(("words", "message", "question", "notice"), "words"),
    **{name: name for name in ("lines", "edits", "alternatives", "grounds", "missing")},
}
WITHIN = {  # where the part around it says more than its name
    ("document", "decision"): "lines",
    ("document", "conflicts"): "lines",
    ("tree", "status"): "status",
    ("edits", "because"): "edits",
    ("guidance", "policy"): "guidance",
}
LONGEST = 120  # characters of a value that are shown


class Failure(NamedTuple):
    """A step that does not hold: which, where in the determination, and why."""

    step: str
    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.step}: {self.place}: {self.problem}"


class Rooted(Protocol):
    """Knowledge, known here only by the folder that it was read from."""

    @property
    def root(self) -> Path: ...


def verify(determination: Json, claim: "Claim", root: Path | Rooted | None = None) -> list[Failure]:
    """Return the steps that do not hold, the first of each kind, in the order of `STEPS`; none if all hold."""
    first: dict[str, Failure] = {}
    folder = root if isinstance(root, Path) else root.root if root else find_root()
    for failure in _failures(determination, claim, folder):
        first.setdefault(failure.step, failure)
        if failure.step in ("document", "knowledge", "claim"):
            break  # the rest would be replayed of something else
    return sorted(first.values(), key=lambda failure: list(STEPS).index(failure.step))


def _failures(given: Json, claim: "Claim", root: Path) -> Iterator[Failure]:
    for place, problem in misfits(given):
        yield Failure("document", place or "determination", problem)
    digest = hash_of(root, files_of(root))
    if given["knowledge"] != digest:
        yield Failure("knowledge", "knowledge", f"the files here have the hash {digest}")
    book = book_of(root, digest)
    edition = _edition(given, claim, book)
    if isinstance(edition, Failure):
        yield edition
        return
    told, flawed = replayed(claim, book, edition, given["posture"])
    yield from differences(given, {**told, "knowledge": digest})
    for criterion in flawed:
        problem = "its witness does not suffice, or holds a triple that is not needed"
        yield Failure("witness", local_name(criterion), problem)


def _edition(given: Json, claim: "Claim", book: Book) -> str | Failure:
    """Return the edition under which a claim is judged, or why there is none."""
    policy = book.policy(given["policy"]["id"])
    if policy is None:
        return Failure("claim", "policy.id", "there is no such policy")
    edition = book.edition(policy, claim.service_date)
    return edition or Failure("claim", "policy.edition", "no edition is in force on the date of service")


def replayed(claim: "Claim", book: Book, edition: str, posture: str) -> tuple[Json, list[str]]:
    """Return what a claim comes to, and the leaves of which a witness is not minimal."""
    teller = Teller(claim, book, edition, posture)
    return teller.whole(), list(teller.paths.flawed)


def differences(given: Any, told: Any, place: str = "", step: str = "document") -> Iterator[Failure]:
    """Yield where a determination is not what the replay tells."""
    if isinstance(given, Mapping) and isinstance(told, Mapping):
        for key in told:
            inner = f"{place}.{key}".lstrip(".")
            checks = WITHIN.get((step, key)) or STEP_OF.get(key, step)
            if key in given:
                yield from differences(given[key], told[key], inner, checks)
            else:
                yield Failure(checks, inner, f"nothing stands where {_shown(told[key])} belongs")
        for key in sorted(given.keys() - told.keys()):
            checks = WITHIN.get((step, key)) or STEP_OF.get(key, step)
            yield Failure(checks, f"{place}.{key}".lstrip("."), f"{_shown(given[key])} stands where nothing belongs")
    elif isinstance(given, list | tuple) and isinstance(told, list):
        for i, (one, other) in enumerate(zip(given, told, strict=False)):
            yield from differences(one, other, f"{place}[{i}]", step)
        if len(given) != len(told):
            yield Failure(step, place, f"{len(given)} stand where {len(told)} belong")
    elif type(given) is not type(told) or given != told:
        yield Failure(step, place, f"{_shown(given)} stands where {_shown(told)} belongs")


def _shown(value: object) -> str:
    """Return a value for a person to read: a long one shortened, and nothing in it that a terminal would obey."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return f"`{''.join(char if char.isprintable() else repr(char)[1:-1] for char in short)}`"


def read_determination(path: Path) -> Json:
    """Read a determination from a file. Raises ClaimError where it is no JSON object."""
    try:
        given = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not JSON"
        raise ClaimError([Fault(path.name, f"the determination cannot be read: {why}", "check the file")]) from None
    if not isinstance(given, dict):
        raise ClaimError(
            [Fault(path.name, "this is not one determination", "give one object as `determine` writes it")]
        )
    return given


__all__ = ["STEPS", "Failure", "read_determination", "verify"]
