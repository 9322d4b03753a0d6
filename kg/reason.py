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
from kg.rules.derived import Conclusion, Derived, Pieces, joined, rule
from kg.rules.facts import By, Concluded, Facts
from kg.rules.lines import lines
from kg.rules.operation import operation
from kg.rules.patient import patient
from kg.terms import Triple


@dataclass(frozen=True)
class Reasoned:
    """The facts of a claim, what follows from them, and by which rules; `index` holds both.

    The rules find in `facts` why a triple follows.
    """

    index: Index
    concluded: Concluded
    operated_regions: frozenset[str]
    knowledge: Knowledge
    facts: Facts | None = None

    @cached_property
    def graph(self) -> Graph:
        """Return all that is known of the claim, over the knowledge."""
        return Graph.of(self.index, below=self.knowledge.graph)

    @cached_property
    def derived(self) -> tuple[Derived, ...]:
        """Return each triple that follows, with its rule and premises."""
        told = ((by, (s, p, o)) for (s, p), rules in self.concluded.items() for by in rules for o in self.index[s, p])
        return tuple(
            Derived(triple, by.rule, joined(pieces))
            for by, triple in told
            if (pieces := self._pieces(by, triple)) is not None
        )

    def why(self, triple: Triple) -> tuple[str, Pieces] | None:
        """Return the rule by which a triple follows from others, and its premises."""
        for by in self.concluded.get((triple[0], triple[1]), ()):
            pieces = self._pieces(by, triple)
            if pieces is not None:
                return by.rule, pieces
        return None

    def _pieces(self, by: By | Conclusion, triple: Triple) -> Pieces | None:
        """Return the premises of a triple, if it follows by a rule."""
        if isinstance(by, Conclusion):
            return by.why(triple[2]) if triple[2] in by.values else None
        return by.pieces(self.facts, triple) if self.facts is not None else None


def reason(claim: Claim, knowledge: Knowledge) -> Reasoned:
    """Derive what follows from a claim about its operation, its patient and its lines."""
    facts = Facts(claim, knowledge)
    operation(facts)
    patient(facts)
    lines(facts)
    return Reasoned(facts.index, facts.concluded, frozenset(map(str, facts.regions)), knowledge, facts)


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
    return Reasoned(index, concluded, reasoned.operated_regions, reasoned.knowledge, reasoned.facts)


__all__ = ["Conclusion", "Derived", "Pieces", "Reasoned", "reason", "rule", "with_facts"]
