"""What a claim states, as the rules read it: its parts, each with what is known of its code."""

from kg.knowledge import Knowledge
from kg.load import Claim
from kg.rules.derived import Premises
from kg.rules.tables import Code, tables_of
from kg.terms import COV, Term

CODE = COV + "code"
DIAGNOSIS = COV + "diagnosis"
LEVEL = COV + "level"
PROCEDURE = COV + "procedure"


class Stated:
    """What a claim states; a part has no code where the ontology does not hold the one that is given."""

    def __init__(self, claim: Claim, knowledge: Knowledge) -> None:
        self.index = claim.index
        self.tables = tables_of(knowledge)
        self.claim = claim.iri
        self.day = claim.service_date
        self.operation = f"{claim.iri}#operation"
        self.lines = [(node, self.code(node)) for _, node, _ in claim.lines]
        self.diagnoses = [(node, code) for node in self.nodes(claim.iri, DIAGNOSIS) if (code := self.code(node))]
        self.procedures = [
            (node, self.code(node), self.nodes(node, LEVEL)) for node in self.nodes(self.operation, PROCEDURE)
        ]

    def code(self, node: str) -> Code | None:
        """Return what is known of the code of a line, procedure or diagnosis."""
        values = self.index.get((node, CODE))
        return self.tables.codes[values[0]] if values else None  # type: ignore[index]  # an IRI, as `load` states it

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

    def of(self, procedure: str, predicate: str, value: Term) -> Premises:
        """Return the triples that show what a procedure of the operation has."""
        return (self.operation, PROCEDURE, procedure), (procedure, predicate, value)
