"""Errors say what is wrong, where, and what to do about it."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple


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
    """Bad input: a claim document with faults, each located; nothing was determined."""

    def __init__(self, faults: Iterable[Fault], claim: str | None = None) -> None:
        self.faults = tuple(faults)
        self.claim = claim
        super().__init__("\n".join(map(str, self.faults)))


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


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """Suggest the known words that are spelled most like a word."""
    pool = list(known)
    folded = {name.casefold(): name for name in reversed(pool)}
    near = [folded[n] for n in get_close_matches(word.casefold(), folded, n=3, cutoff=0.6)]
    return f"did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else otherwise
