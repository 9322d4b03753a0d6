"""Errors say what is wrong, where, and what to do about it."""

from collections.abc import Iterable, Sized
from difflib import get_close_matches
from typing import NamedTuple

MAX_FAULTS = 50  # more than anyone mends at once
MAX_SUGGESTIONS = 10  # each is a search through all names
MAX_WORD = 80


class Fault(NamedTuple):
    """One thing that is wrong with a claim document."""

    place: str
    problem: str
    help: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" + (f"\n  help: {self.help}" if self.help else "")


class CoverpathError(Exception):
    """The base of all errors that Coverpath raises on purpose."""


class ClaimError(CoverpathError):
    """Bad input: a claim document with faults, each located; nothing was determined.

    A place has one fault, the first: what else is wrong there follows from it, or shows when it is mended.
    """

    def __init__(self, faults: Iterable[Fault], claim: str | None = None) -> None:
        found: dict[str, Fault] = {}
        for fault in faults:
            found.setdefault(fault.place, fault)
        shown = list(found.values())
        if len(shown) > MAX_FAULTS:
            rest = len(shown) - MAX_FAULTS + 1
            shown[MAX_FAULTS - 1 :] = [Fault("document", f"{rest:,} more faults are not shown", "mend these first")]
        self.faults = tuple(Fault(*map(_printable, fault)) for fault in shown)
        self.claim = None if claim is None else _printable(claim)
        super().__init__("\n".join(map(str, self.faults)))


def _printable(text: str) -> str:
    """Escape what a terminal would obey and what no encoding can write."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


class KnowledgeError(CoverpathError):
    """Bad ontology or shapes: the start stops, and no claim is judged by them."""

    def __init__(self, where: str, problem: str, help: str) -> None:
        super().__init__(f"{where}: {problem}\nhelp: {help}")


class DanglingReferenceError(KnowledgeError):
    """A shape or criterion names another that does not exist."""


class CircularReferenceError(KnowledgeError):
    """Shapes or criteria refer to each other in a circle."""


class UnsupportedShapeError(KnowledgeError):
    """A shape uses a term of SHACL that the evaluator does not know."""


class VacuousLeafError(KnowledgeError):
    """A leaf would be met or refuted where nothing is known."""


class IncompleteCriterionError(KnowledgeError):
    """A criterion lacks what every criterion must have."""


def nearest(word: str, known: Iterable[str], otherwise: str, after: Sized = ()) -> str:
    """Suggest the known words that are spelled most like a word; none where many faults were found before."""
    if len(after) >= MAX_SUGGESTIONS:
        return otherwise
    pool = list(known)
    folded = {name.casefold(): name for name in reversed(pool)}
    near = [folded[n] for n in get_close_matches(word[:MAX_WORD].casefold(), folded, n=3, cutoff=0.6)]
    return f"did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else otherwise
