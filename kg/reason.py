"""Reason: what follows from the facts of a claim, each with its rule and the asserted triples that it rests on.

Here is what SHACL Core cannot say: order along the spine, what meets at a level, sums, pairs of lines, dates.
The rules are named and described in `ontology/coverage.ttl`; the medicine that they apply is in the ontology.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kg.graph import Graph, Index
from kg.knowledge import Knowledge
from kg.lazy import lazy
from kg.load import Claim
from kg.rules.derived import By, Derived, Pieces, joined, rule
from kg.rules.facts import Facts
from kg.rules.lines import lines
from kg.rules.operation import operation
from kg.rules.patient import patient
from kg.rules.sites import Concluded
from kg.terms import COV, Triple


@dataclass(eq=False)
class Reasoned:
    """The facts of a claim, what follows from them, and by which rules; `index` holds both.

    The rules find in `facts` why a triple follows.
    """

    index: Index
    concluded: Concluded
    operated_regions: frozenset[str]
    knowledge: Knowledge
    facts: Facts

    @lazy
    def graph(self) -> Graph:
        """Return all that is known of the claim, over the knowledge."""
        return Graph.of(self.index, below=self.knowledge.graph)

    @lazy
    def derived(self) -> tuple[Derived, ...]:
        """Return each triple that follows, with its rule and premises."""
        told = ((by, (s, p, o)) for (s, p), rules in self.concluded.items() for by in rules for o in self.index[s, p])
        found = ((triple, by.rule, by.pieces(self.facts, triple)) for by, triple in told)
        return tuple(Derived(triple, rule, joined(pieces)) for triple, rule, pieces in found if pieces is not None)

    def why(self, triple: Triple) -> tuple[By, Pieces] | None:
        """Return the rule by which a triple follows from others, and its premises."""
        for by in self.concluded.get((triple[0], triple[1]), ()):
            tell = by.pieces  # taken out first: to call a slot as if it were a method is slow
            pieces = tell(self.facts, triple)
            if pieces is not None:
                return by, pieces
        return None


def reason(claim: Claim, knowledge: Knowledge) -> Reasoned:
    """Derive what follows from a claim about its operation, its patient and its lines."""
    facts = Facts(claim, knowledge)
    operation(facts)
    patient(facts)
    lines(facts)
    return Reasoned(facts.index, facts.concluded, frozenset(map(str, facts.regions)), knowledge, facts)


def with_decisions(reasoned: Reasoned, decisions: Mapping[str, str]) -> Reasoned:
    """Return the same facts, and how base lines are decided."""
    index, concluded = reasoned.index.copy(), reasoned.concluded.copy()
    for line, decision in decisions.items():
        index[line, DECISION], concluded[line, DECISION] = (decision,), _DECIDED
    return Reasoned(index, concluded, reasoned.operated_regions, reasoned.knowledge, reasoned.facts)


DECISION = COV + "decision"
_DECIDED = (By(rule("baseDecision"), lambda facts, triple: (), alike=True),)

__all__ = ["Derived", "Pieces", "Reasoned", "reason", "rule", "with_decisions"]
