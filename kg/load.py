"""Load: a claim document into the facts that it states, or located faults."""

import json
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kg.document import CLAIM_TERMS, Document, Field, fields_of, read_document, to_graph
from kg.errors import ClaimError, DanglingReferenceError, Fault, nearest
from kg.graph import Graph, Index, index, read
from kg.knowledge import Knowledge, icd10cm, load_knowledge
from kg.path import first_steps
from kg.shapes import OfItself, Shape, Violation, read_shapes, refuse_idle, shape_names, validate
from kg.terms import CLAIMS, COV, CPT, HCPCS, TYPE, XSD, Literal, Term, Triple, local_name

SUFFIXES = {
    ".json": "json",
    ".jsonld": "jsonld",
    ".nt": "ntriples",
    ".ttl": "turtle",
    ".yaml": "yaml",
    ".yml": "yaml",
}


@dataclass(frozen=True)
class Claim:
    """A well-formed claim: its document, and the facts that it states as triples about itself."""

    id: str
    iri: str
    payer: str | None
    policy: str | None
    service_date: date
    document: Document
    facts: tuple[Triple, ...]

    @cached_property
    def lines(self) -> list[tuple[int, str, str]]:
        """Return number, node and code of each service line."""
        return [(i, f"{self.iri}#line-{i}", line["code"]) for i, line in enumerate(self.document["lines"], 1)]

    @cached_property
    def index(self) -> Index:
        """Return the values of each property of each node of the claim."""
        return index(self.facts)


def read_claim(path: str | Path, knowledge: Knowledge | None = None) -> Claim:
    """Read a claim from a file; its suffix tells the format.

    Raises ClaimError for a file that cannot be read and for every fault of the document.
    """
    path = Path(path)
    format = SUFFIXES.get(path.suffix.lower())
    if format is None:
        help = f"use one of {', '.join(SUFFIXES)}"
        raise ClaimError([Fault(path.name, f"`{path.suffix}` is not a suffix of claim documents", help)], path.name)
    try:
        data = path.read_bytes()
    except OSError as error:
        why = (error.strerror or "it cannot be read").lower()
        raise ClaimError([Fault(path.name, f"the file cannot be read: {why}", "check the name")], path.name) from None
    try:
        return parse_claim(data, format, knowledge)
    except ClaimError as error:
        raise ClaimError(error.faults, error.claim or path.stem) from None


def parse_claim(text: str | bytes, format: str = "json", knowledge: Knowledge | None = None) -> Claim:
    """Parse a claim document: json, yaml, jsonld, turtle or ntriples.

    Raises ClaimError with every fault of the document, each with its place, the problem and what to do.
    """
    knowledge = knowledge or load_knowledge()
    schema = claim_schema(knowledge.root)
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text  # refused where it is decoded
    document = read_document(data, format, schema.context)
    identifier = str(document.get("id", ""))
    _refuse_malformed(document, schema, identifier)
    given, document = document, _normal(document)
    facts = _Facts(knowledge, document)
    triples = tuple(facts.triples())
    if facts.faults:
        facts = _Facts(knowledge, given)  # once more, for the places in the document as it was given
        tuple(facts.triples())
        raise ClaimError(facts.faults, identifier)
    return Claim(
        id=identifier,
        iri=facts.iri,
        payer=document.get("payer"),
        policy=document.get("policy"),
        service_date=date.fromisoformat(document["serviceDate"]),
        document=document,
        facts=triples,
    )


@dataclass(frozen=True, slots=True)
class Schema:
    """What a claim document looks like: the JSON-LD context and the shapes of a well-formed claim."""

    context: Mapping[str, Any]
    fields: Mapping[str, Field]
    shapes: tuple[Shape, ...]


@cache
def claim_schema(root: Path) -> Schema:
    """Read the context and the shapes of claim documents."""
    context = json.loads((root / "shapes/claim-context.jsonld").read_text())["@context"]
    graph = Graph(read(root / "shapes/claim.ttl", "claim"))
    refuse_idle(graph)
    shapes = tuple(read_shapes(graph, shape_names(graph)).values())
    fields = fields_of(context)
    known = set(_terms_of(fields))
    for shape in shapes:
        for kind, target in shape.targets:
            if kind != "targetNode" and str(target).startswith(CLAIM_TERMS) and target not in known:
                names = [local_name(term) for term in known]
                help = nearest(local_name(str(target)), names, "name a field of claims")
                raise DanglingReferenceError(str(shape.name), f"`sh:{kind}` names no field of claims", help)
    return Schema(context, fields, shapes)


def _terms_of(fields: Mapping[str, Field]) -> Iterator[str]:
    for field in fields.values():
        yield field.iri
        yield from _terms_of(field.fields)


def _refuse_malformed(document: Document, schema: Schema, identifier: str) -> None:
    if not document.keys() & {"serviceDate", "lines", "diagnoses", "operation"}:
        raise ClaimError([Fault("document", "this is not a claim", "give at least `id`, `serviceDate` and `lines`")])
    graph = to_graph(document, schema.fields, "claim:document")
    faults: list[Fault] = []
    for violation in validate(schema.shapes, graph):
        faults.append(_fault(violation, faults))
    faults.extend(_backward_intervals(document))
    if faults:
        raise ClaimError(faults, identifier)


def _fault(violation: Violation, before: Sized) -> Fault:
    """Say what is wrong at the field that the path begins with; cells of a list are named after their place."""
    shape, constraint = violation.shape, violation.constraint
    place = str(violation.focus).partition("#")[2].removesuffix("/cell")
    for step in first_steps(shape.path) if shape.path else ():
        place += f"/{local_name(step)}" if step.startswith(CLAIM_TERMS) else ""
    help = "see the claim fields in README.md"
    given = violation.value.value if isinstance(violation.value, Literal) else None
    if isinstance(constraint, OfItself) and constraint.component == "in" and given is not None:
        allowed = [term.value for term in constraint.parameter if isinstance(term, Literal)]
        help = nearest(given, allowed, f"write {', '.join(allowed)}", before)
    return Fault(place or "document", shape.message, help)


def _backward_intervals(document: Document) -> Iterator[Fault]:
    zoned: bool | None = None  # whether the times of the claim have a zone, by the first of them
    for i, line in enumerate(document.get("lines", ())):
        for k, interval in enumerate(line.get("intervals", ())):
            start, end = (_instant(interval.get(name, "")) for name in ("start", "end"))
            place = f"/lines/{i}/intervals/{k}"
            if start and end and (start.tzinfo is None) != (end.tzinfo is None):
                yield Fault(place, "one end of the interval has a time zone and the other has not", "give both or none")
            elif start and end and end <= start:
                yield Fault(place, "the interval ends before it starts", "correct `start` or `end`")
            elif start and zoned is not None and zoned != (start.tzinfo is not None):
                problem = "some times of the claim have a time zone and some have not"
                yield Fault(place, problem, "give one to all or none")
            elif start:
                zoned = start.tzinfo is not None


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _normal(document: Document) -> Document:
    """Put what has no order of its own in one order, so that equal claims give equal answers."""
    facts = sorted(document.get("facts", ()), key=lambda fact: sorted(fact.items()))
    operation = dict(document.get("operation", {}))
    if operation.get("procedures"):
        operation["procedures"] = sorted(operation["procedures"], key=lambda p: json.dumps(p, sort_keys=True))
    unique = [fact for i, fact in enumerate(facts) if not i or fact != facts[i - 1]]
    return {**document, **({"operation": operation} if operation else {}), **({"facts": unique} if facts else {})}


class _Facts:
    """The facts of one document; names that the ontology does not hold become faults."""

    def __init__(self, knowledge: Knowledge, document: Document) -> None:
        self.knowledge = knowledge
        self.document = document
        self.iri = CLAIMS + quote(document["id"], safe="")
        self.faults: list[Fault] = []

    def triples(self) -> Iterator[Triple]:
        claim = self.iri
        yield claim, TYPE, COV + "Claim"
        yield claim, COV + "serviceDate", Literal(self.document["serviceDate"], XSD + "date")
        for i, code in enumerate(self.document.get("diagnoses", ())):
            yield from self.diagnosis(i, code)
        yield from self.operation(self.document.get("operation", {}))
        for i, line in enumerate(self.document["lines"]):
            yield from self.line(f"{claim}#line-{i + 1}", i, line)
        for i, fact in enumerate(self.document.get("facts", ())):
            yield from self.fact(f"{claim}#fact-{i + 1}", i, fact)

    def diagnosis(self, i: int, code: str) -> Iterator[Triple]:
        node, iri = f"{self.iri}#diagnosis-{i + 1}", icd10cm(code.upper())
        plain = code.upper().replace(".", "")
        if not self.knowledge.knows(plain) and not self.knowledge.graph.objects(iri, TYPE):
            near = _categories(self.knowledge).get(plain[:3], ())
            dotted = (c if len(c) < 4 else f"{c[:3]}.{c[3:]}" for c in near)
            help = nearest(code, dotted, "check the code against ICD-10-CM", self.faults)
            self.faults.append(Fault(f"/diagnoses/{i}", f"no release of ICD-10-CM holds `{code}`", help))
        yield self.iri, COV + "diagnosis", node
        yield self.iri, COV + "finding", node
        yield node, TYPE, iri
        yield node, COV + "code", iri
        yield node, COV + "number", _number(i + 1)
        yield node, COV + "status", COV + "Present"

    def operation(self, operation: Document) -> Iterator[Triple]:
        node = f"{self.iri}#operation"
        yield self.iri, COV + "operation", node
        if operation:
            yield node, TYPE, COV + "Operation"
        if "conusLevel" in operation:
            level = self.level(operation["conusLevel"], "/operation/conusLevel")
            yield from ((node, COV + "conusLevel", iri) for iri in level)
        for i, procedure in enumerate(operation.get("procedures", ())):
            part = f"{self.iri}#procedure-{i + 1}"
            yield node, COV + "procedure", part
            yield part, TYPE, COV + "RecordedProcedure"
            yield self.service(part, procedure["code"])
            if "units" in procedure:
                yield part, COV + "units", Literal(procedure["units"], XSD + "integer")
            for k, name in enumerate(procedure.get("levels", ())):
                place = f"/operation/procedures/{i}/levels/{k}"
                yield from ((part, COV + "level", iri) for iri in self.level(name, place))
            if "approach" in procedure:
                yield part, COV + "approach", Literal(procedure["approach"])

    def line(self, node: str, i: int, line: Document) -> Iterator[Triple]:
        yield node, TYPE, COV + "ClaimLine"
        yield node, COV + "ofClaim", self.iri
        yield node, COV + "lineNumber", _number(i + 1)
        yield self.service(node, line["code"])
        if "units" in line:
            yield node, COV + "units", Literal(line["units"], XSD + "integer")
        if "technique" in line:
            yield node, COV + "technique", self.knowledge.named("Technique")[line["technique"]]
        if "performer" in line:
            performer = f"{self.iri}#performer-{i + 1}"
            yield node, COV + "performer", performer
            if "id" in line["performer"]:
                yield performer, COV + "id", Literal(line["performer"]["id"])
            if "role" in line["performer"]:
                yield performer, COV + "role", self.knowledge.named("Role")[line["performer"]["role"]]
        for k, interval in enumerate(line.get("intervals", ())):
            part = f"{self.iri}#interval-{i + 1}-{k + 1}"
            yield node, COV + "interval", part
            yield part, COV + "start", Literal(interval["start"], XSD + "dateTime")
            yield part, COV + "end", Literal(interval["end"], XSD + "dateTime")

    def fact(self, node: str, i: int, fact: Document) -> Iterator[Triple]:
        concept = self.known("fact", fact["fact"], self.knowledge.facts, f"/facts/{i}/fact")
        yield self.iri, COV + "finding", node
        yield node, TYPE, COV + "RecordedFact"
        yield from ((node, COV + "concept", iri) for iri in concept)
        yield node, COV + "status", self.knowledge.named("FactStatus")[fact["status"]]
        if "region" in fact:
            region = self.known("region", fact["region"], self.knowledge.regions, f"/facts/{i}/region")
            yield from ((node, COV + "region", iri) for iri in region)
        if "source" in fact:
            yield node, COV + "source", Literal(fact["source"])

    def service(self, node: str, code: str) -> Triple:
        """Return the code of a line or procedure, as a code of the ontology if it holds it."""
        iri = (CPT if code[0].isdigit() else HCPCS) + code
        if self.knowledge.graph.objects(iri, TYPE):
            return node, COV + "code", iri
        return node, COV + "unknownCode", Literal(code)

    def level(self, name: str, place: str) -> tuple[str, ...]:
        if name in self.knowledge.levels:
            return (self.knowledge.levels[name],)
        spanned = self._spanned(name)
        help = f"write each interspace: {', '.join(spanned)}" if spanned else None
        return self.known("level", name, self.knowledge.levels, place, help)

    def _spanned(self, name: str) -> list[str]:
        """Return the interspaces between two levels that are not neighbours, to suggest them."""
        ends = name.split("-")
        levels = list(self.knowledge.levels)
        if len(ends) != 2 or not all(end in levels for end in ends):
            return []
        first, last = sorted(map(levels.index, ends))
        return [level for level in levels[first:last] if "-" in level]

    def known(
        self, kind: str, name: str, names: Mapping[str, str], place: str, help: str | None = None
    ) -> tuple[str, ...]:
        if name in names:
            return (names[name],)
        some = ", ".join(list(names)[:8])
        help = help or nearest(name, names, f"for example {some}", self.faults)
        self.faults.append(Fault(place, f"`{name[:80]}` is not a {kind} that the ontology holds", help))
        return ()


def _categories(knowledge: Knowledge) -> dict[str, list[str]]:
    """Return the codes of ICD-10-CM by their first three characters."""

    def compute() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in knowledge.release.splitlines():
            code = line.rstrip("-")
            found.setdefault(code[:3], []).append(code)
        return found

    return knowledge.remember(("categories",), compute)


def _number(n: int) -> Term:
    return Literal(str(n), XSD + "integer")


__all__ = ["CLAIM_TERMS", "Claim", "parse_claim", "read_claim"]
