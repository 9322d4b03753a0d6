"""What a rule gives: a triple that follows, the rule, and the asserted triples that it follows from."""

from collections.abc import Mapping
from typing import NamedTuple

from kg.graph import Graph
from kg.knowledge import Knowledge
from kg.load import Claim
from kg.terms import COV, Triple

Premises = tuple[Triple, ...]


class Derived(NamedTuple):
    """A triple that follows from others by a rule."""

    triple: Triple
    rule: str
    premises: Premises


def rule(name: str) -> str:
    """Return the IRI of a rule of derivation."""
    return f"{COV}rule-{name}"


class Stated:
    """What a claim states, as the rules read it."""

    def __init__(self, claim: Claim, knowledge: Knowledge) -> None:
        self.claim = claim.iri
        self.day = claim.service_date
        self.knowledge = knowledge
        self.facts = Graph(claim.facts)
        self.operation = f"{claim.iri}#operation"
        self.lines = [node for _, node, _ in claim.lines]
        self.procedures = [str(p) for p in self.facts.objects(self.operation, COV + "procedure")]
        self.diagnoses = [str(d) for d in self.facts.objects(claim.iri, COV + "diagnosis")]

    def code(self, node: str) -> str | None:
        """Return the code of a line, procedure or diagnosis, if the ontology holds it or the release does."""
        return self.facts.iri(node, COV + "code")


Regions = Mapping[str, Premises]
