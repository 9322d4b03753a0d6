"""What a rule gives: values that follow for a property of a node, the rule, and the triples that they rest on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from kg.terms import COV, Triple

if TYPE_CHECKING:
    from kg.rules.facts import Facts

Premises = tuple[Triple, ...]
Pieces = tuple[Premises, ...]  # premises in pieces that conclusions share: none is copied before it is asked for


@dataclass(frozen=True, eq=False, slots=True)
class By:
    """A rule by which triples follow; `pieces` tells their premises, and nothing of triples that follow by another.

    What is `alike` tells the same of a triple whatever the claim.
    """

    rule: str
    pieces: Callable[["Facts", Triple], Pieces | None]
    alike: bool = False

    @classmethod
    def always(cls, rule: str, node: str, *pieces: Premises) -> "By":
        """Return the rule by which a node is linked to others, or is what it is, with premises that never differ."""
        return cls(rule, lambda facts, triple: pieces if node in (triple[0], triple[2]) else None, alike=True)


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
