"""What a rule gives: values that follow for a property of a node, the rule, and the triples that they rest on."""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import NamedTuple

from kg.knowledge import Knowledge
from kg.load import Claim
from kg.terms import COV, Term, Triple

Premises = tuple[Triple, ...]
Pieces = tuple[
    Premises, ...
]  # premises in pieces that conclusions share, so that none is copied before it is asked for


class Derived(NamedTuple):
    """A triple that follows from others by a rule."""

    triple: Triple
    rule: str
    premises: Premises


class Conclusion(NamedTuple):
    """Values of a property of a node that follow by a rule; `why` tells the premises of each."""

    subject: str
    predicate: str
    values: tuple[Term, ...]
    rule: str
    why: Callable[[Term], Pieces]

    def derived(self, value: Term) -> Derived:
        """Return one value as a derived triple."""
        return Derived((self.subject, self.predicate, value), self.rule, joined(self.why(value)))


def joined(pieces: Iterable[Premises]) -> Premises:
    """Return premises that are given in pieces, each triple once."""
    return tuple(dict.fromkeys(chain.from_iterable(pieces)))


def follows(subject: str, predicate: str, value: Term, name: str, *pieces: Premises) -> Conclusion:
    """Return the conclusion that a node has a value, by the rule of some name."""
    return Conclusion(subject, predicate, (value,), rule(name), given(*pieces))


def given(*pieces: Premises) -> Callable[[Term], Pieces]:
    """Return the premises of any value, where all have the same."""
    return lambda _: pieces


def rule(name: str) -> str:
    """Return the IRI of a rule of derivation."""
    return f"{COV}rule-{name}"


class Stated:
    """What a claim states, as the rules read it."""

    def __init__(self, claim: Claim, knowledge: Knowledge) -> None:
        self.claim = claim.iri
        self.day = claim.service_date
        self.knowledge = knowledge
        self.index = claim.index
        self.operation = f"{claim.iri}#operation"
        self.lines = [node for _, node, _ in claim.lines]
        self.procedures = self.nodes(self.operation, PROCEDURE)
        self.diagnoses = self.nodes(claim.iri, DIAGNOSIS)

    def nodes(self, subject: str, predicate: str) -> tuple[str, ...]:
        """Return the values of a property whose values are IRIs."""
        return self.index.get((subject, predicate), ())  # type: ignore[return-value]  # as `load` states them

    def iri(self, subject: str, predicate: str) -> str | None:
        """Return the first value of a property whose values are IRIs."""
        values = self.index.get((subject, predicate))
        return values[0] if values else None  # type: ignore[return-value]  # as `load` states them

    def value(self, subject: str, predicate: str) -> Term | None:
        """Return the first value of a property."""
        values = self.index.get((subject, predicate))
        return values[0] if values else None

    def code(self, node: str) -> str | None:
        """Return the code of a line, procedure or diagnosis, if the ontology holds it or the release does."""
        return self.iri(node, CODE)


CODE = COV + "code"
PROCEDURE = COV + "procedure"
DIAGNOSIS = COV + "diagnosis"
