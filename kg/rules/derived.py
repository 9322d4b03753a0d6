"""What a rule gives: values that follow for a property of a node, the rule, and the triples that they rest on."""

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from kg.terms import COV, Triple

Premises = tuple[Triple, ...]
Pieces = tuple[
    Premises, ...
]  # premises in pieces that conclusions share, so that none is copied before it is asked for


class Derived(NamedTuple):
    """A triple that follows from others by a rule."""

    triple: Triple
    rule: str
    premises: Premises


def joined(pieces: Iterable[Premises]) -> Premises:
    """Return premises that are given in pieces, each triple once."""
    return tuple(dict.fromkeys(chain.from_iterable(pieces)))


def rule(name: str) -> str:
    """Return the IRI of a rule of derivation."""
    return f"{COV}rule-{name}"
