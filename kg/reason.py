"""Reason: what follows from the facts of a claim, each with its rule and the asserted triples that it rests on.

Here is what SHACL Core cannot say: order along the spine, what meets at a level, sums, pairs of lines, dates.
The rules are named and described in `ontology/coverage.ttl`; the medicine that they apply is in the ontology.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from kg.graph import Graph, Index
from kg.knowledge import Knowledge
from kg.load import Claim
from kg.rules.derived import Conclusion, Derived, Pieces, rule
from kg.rules.lines import Lines
from kg.rules.operation import Operation
from kg.rules.patient import Patient
from kg.rules.stated import Stated
from kg.terms import Term, Triple

Concluded = dict[tuple[Term, str], tuple[Conclusion, ...]]


@dataclass(frozen=True)
class Reasoned:
    """The facts of a claim, what follows from them, and why; `index` holds both."""

    index: Index
    concluded: Concluded
    operated_regions: frozenset[str]
    knowledge: Knowledge

    @cached_property
    def graph(self) -> Graph:
        """Return all that is known of the claim, over the knowledge."""
        return Graph.of(self.index, below=self.knowledge.graph)

    @cached_property
    def derived(self) -> tuple[Derived, ...]:
        """Return each triple that follows, with its rule and premises."""
        return tuple(c.derived(value) for found in self.concluded.values() for c in found for value in c.values)

    def conclusion(self, triple: Triple) -> Conclusion | None:
        """Return the conclusion that a triple is, if it follows from others."""
        s, p, o = triple
        found = self.concluded.get((s, p))
        if found is None:
            return None
        return next((conclusion for conclusion in found if o in conclusion.values), None)


def reason(claim: Claim, knowledge: Knowledge) -> Reasoned:
    """Derive what follows from a claim about its operation, its patient and its lines."""
    stated = Stated(claim, knowledge)
    operation = Operation(stated)
    before = Reasoned(claim.index, {}, frozenset(map(str, operation.regions)), knowledge)
    rules = (operation, Patient(stated, operation), Lines(stated))
    return with_facts(before, [conclusion for about in rules for conclusion in about.conclusions()])


def with_facts(reasoned: Reasoned, conclusions: Iterable[Conclusion]) -> Reasoned:
    """Return the same facts and some more."""
    index, concluded = reasoned.index.copy(), reasoned.concluded.copy()
    for conclusion in conclusions:
        key, values = (conclusion.subject, conclusion.predicate), conclusion.values
        known = index.get(key)
        if known is None:
            index[key], concluded[key] = values, (conclusion,)
        else:
            index[key] = (*known, *[value for value in values if value not in known])
            concluded[key] = (*concluded.get(key, ()), conclusion)
    return Reasoned(index, concluded, reasoned.operated_regions, reasoned.knowledge)


__all__ = ["Conclusion", "Derived", "Pieces", "Reasoned", "reason", "rule", "with_facts"]
