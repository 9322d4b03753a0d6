"""A determination as RDF: the same value that JSON shows, for SPARQL (public contract, section 7)."""

import hashlib
import json
from collections.abc import Iterator
from itertools import count

import pyoxigraph as ox

from kg.changes import Atom
from kg.check import Hit
from kg.decide import POSTURES, Decision, Judged
from kg.evaluate import Reading, merge_all
from kg.explain import Determination
from kg.graph import serialize
from kg.outcome import Outcome
from kg.terms import COV, PREFIXES, RDF, RDFS, TYPE, XSD, Literal, Term, Triple

DETERMINATIONS = "https://w3id.org/coverpath/determinations/"


def determination_iri(determination: Determination) -> str:
    """Return the IRI of a determination: equal claim, edition and knowledge give the same."""
    parts = (determination.claim.document, determination.edition.iri, determination.knowledge.hash)
    return DETERMINATIONS + hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def to_turtle(determination: Determination) -> str:
    """Write a determination as Turtle."""
    prefixes = {**PREFIXES, "determination": DETERMINATIONS}
    return serialize(to_triples(determination), ox.RdfFormat.TURTLE, prefixes)


def to_triples(determination: Determination) -> list[Triple]:
    """Return the triples of a determination, each line under each posture with its criteria tree."""
    return list(dict.fromkeys(_Writer(determination).triples()))


class _Writer:
    def __init__(self, determination: Determination) -> None:
        self.determination = determination
        self.teller = Teller(determination)
        self.knowledge = determination.knowledge
        self.iri = determination_iri(determination)
        self.trees: dict[tuple[int, Term], str] = {}
        self.numbers = count(1)

    def triples(self) -> Iterator[Triple]:
        d = self.determination
        yield self.iri, TYPE, COV + "Determination"
        yield self.iri, COV + "ofClaim", d.claim.iri
        yield self.iri, COV + "underPolicy", d.policy.iri
        yield self.iri, COV + "underEdition", d.edition.iri
        yield self.iri, COV + "knowledgeHash", Literal(d.knowledge.hash)
        for line in d.lines:
            for posture in POSTURES:
                yield from self.line(line, posture)
        for hit in d.hits:
            yield from self.edit(hit)

    def line(self, judged: Judged, posture: str) -> Iterator[Triple]:
        node, decision = f"{self.iri}#line-{judged.number}-{posture}", judged.decisions[posture]
        code = next(iter(self.teller.index.get((judged.node, COV + "code"), ())), Literal(judged.code))
        yield self.iri, COV + "hasLineDecision", node
        yield node, TYPE, COV + "LineDecision"
        yield node, COV + "ofLine", judged.node
        yield node, COV + "lineNumber", Literal(str(judged.number), XSD + "integer")
        yield node, COV + "code", code
        yield node, COV + "posture", self.knowledge.named("Posture")[posture]
        yield node, COV + "decision", self.knowledge.named("Decision")[decision.decision]
        yield from ((node, COV + "because", iri) for iri in decision.because)
        if decision.reason:
            yield node, COV + "denialReason", decision.reason
        yield from self.open(node, decision)
        yield from self.tree(node, COV + "hasStatus", decision.case.root, judged.node, judged.readings[posture])
        for item in decision.case.guidance:
            yield node, COV + "guidance", item.clause.iri
        for conflict in self.teller.conflicts(judged.number, decision.case):
            part = f"{node}-conflict-{next(self.numbers)}"
            yield node, COV + "hasConflict", part
            yield part, TYPE, COV + "Conflict"
            yield part, COV + "conflictKind", Literal(conflict["kind"])
            yield part, COV + "policyClause", conflict["policy"]
            yield part, COV + "guidelineClause", conflict["guideline"]

    def open(self, node: str, decision: Decision) -> Iterator[Triple]:
        yield from (self.missing(node, atom) for atom in decision.missing)
        yield from ((node, COV + "caveat", _words(self.teller.caveat(o))) for o in decision.caveats)

    def missing(self, node: str, atom: Atom) -> Triple:
        if atom.is_field:
            return node, COV + "missingField", Literal(atom.name)
        return node, COV + "missing", self.knowledge.facts[atom.name]

    def tree(self, above: str, predicate: str, outcome: Outcome, focus: Term, reading: Reading) -> Iterator[Triple]:
        """Yield a criteria tree; one that was written already is only pointed to."""
        key = (id(outcome), focus)
        if key in self.trees:
            yield above, predicate, self.trees[key]
            return
        node = self.trees.setdefault(key, f"{self.iri}#status-{next(self.numbers)}")
        yield above, predicate, node
        yield node, TYPE, COV + "CriterionStatus"
        yield node, COV + "ofCriterion", outcome.criterion.iri
        yield node, COV + "status", self.knowledge.named("Status")[outcome.status]
        yield node, COV + "atNode", focus
        if not outcome.criterion.is_leaf:
            for part in outcome.parts:
                yield from self.tree(node, COV + "hasPart", part, focus, reading)
            return
        for _, witness in self.teller.chosen(outcome, focus, reading):
            for triple in self.teller.asserted(merge_all(witness), reading):
                yield from self.witness(node, triple)
        for other, inner, within in reading.others(outcome.criterion, focus):
            yield from self.tree(node, COV + "hasPart", inner, other, within)

    def witness(self, node: str, triple: Triple) -> Iterator[Triple]:
        digest = hashlib.sha256(repr(triple).encode()).hexdigest()[:16]
        part = f"{self.iri}#witness-{digest}"
        yield node, COV + "witness", part
        for name, term in zip(("subject", "predicate", "object"), triple, strict=True):
            yield part, RDF + name, term

    def edit(self, hit: Hit) -> Iterator[Triple]:
        node = f"{self.iri}#edit-{next(self.numbers)}"
        yield self.iri, COV + "hasEdit", node
        yield node, TYPE, COV + "EditHit"
        yield node, COV + "ofCriterion", hit.outcome.criterion.iri
        yield node, COV + "effect", COV + hit.effect
        yield node, RDFS + "label", _words(hit.outcome.criterion.label)
        if hit.line is not None:
            line: Term = f"{self.determination.claim.iri}#line-{hit.line}"
            yield node, COV + "ofLine", line
        yield from self.tree(node, COV + "hasStatus", hit.outcome, hit.node, self.teller.reading_of(hit))


def _words(text: str) -> Literal:
    return Literal(text, RDF + "langString", "en")
