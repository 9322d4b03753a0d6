"""Reason: what follows from the facts of a claim, each with its rule and the asserted triples that it rests on.

Here is what SHACL Core cannot say: order along the spine, what meets at a level, sums, pairs of lines, dates.
The rules are named and described in `ontology/coverage.ttl`; the medicine that they apply is in the ontology.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from kg.graph import Graph
from kg.knowledge import Knowledge
from kg.load import Claim
from kg.rules.derived import Derived, rule
from kg.rules.lines import Lines
from kg.rules.operation import Operation
from kg.rules.patient import Patient
from kg.terms import Triple


@dataclass(frozen=True)
class Reasoned:
    """The facts of a claim over the knowledge, and why each derived one holds."""

    graph: Graph
    derived: tuple[Derived, ...]

    @cached_property
    def why(self) -> dict[Triple, Derived]:
        """Return the derivation of each derived triple."""
        return {fact.triple: fact for fact in reversed(self.derived)}


def reason(claim: Claim, knowledge: Knowledge) -> Reasoned:
    """Derive what follows from a claim about its operation, its patient and its lines."""
    operation = Operation(claim, knowledge)
    patient = Patient(claim, knowledge, operation)
    lines = Lines(claim, knowledge)
    derived = (*operation.derived(), *patient.derived(), *lines.derived())
    return Reasoned(Graph((*claim.facts, *(fact.triple for fact in derived)), below=knowledge.graph), derived)


def with_facts(reasoned: Reasoned, derived: Iterable[Derived]) -> Reasoned:
    """Return the same facts and some more."""
    more = tuple(derived)
    if not more:
        return reasoned
    return Reasoned(Graph((fact.triple for fact in more), below=reasoned.graph), (*reasoned.derived, *more))


__all__ = ["Derived", "Reasoned", "reason", "rule", "with_facts"]
