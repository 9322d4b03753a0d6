"""What a rule gives: values that follow for a property of a node, the rule, and the triples that they rest on."""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import NamedTuple

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


def given(pieces: Pieces) -> Callable[[Term], Pieces]:
    """Return the premises of any value, where all have the same."""
    return lambda _: pieces


def rule(name: str) -> str:
    """Return the IRI of a rule of derivation."""
    return f"{COV}rule-{name}"
