"""What a rule gives: values that follow for a property of a node, the rule, and the triples that they rest on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
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


@dataclass(slots=True, eq=False)  # not frozen: a claim has seventy, and each would take twice as long to make
class Conclusion:
    """Values of a property of a node that follow by a rule, with the premises of all, or of each when asked for."""

    subject: str
    predicate: str
    values: tuple[Term, ...]
    rule: str
    shown: Pieces | Callable[[Term], Pieces]

    def why(self, value: Term) -> Pieces:
        """Return the premises of a value."""
        return self.shown if isinstance(self.shown, tuple) else self.shown(value)

    def derived(self, value: Term) -> Derived:
        """Return one value as a derived triple."""
        return Derived((self.subject, self.predicate, value), self.rule, joined(self.why(value)))


def joined(pieces: Iterable[Premises]) -> Premises:
    """Return premises that are given in pieces, each triple once."""
    return tuple(dict.fromkeys(chain.from_iterable(pieces)))


def rule(name: str) -> str:
    """Return the IRI of a rule of derivation."""
    return f"{COV}rule-{name}"
