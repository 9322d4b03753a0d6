"""Load: a claim document into the facts that it states, or located faults."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache
from pathlib import Path
from sys import intern
from typing import Any
from urllib.parse import quote

from kg.document import CLAIM_TERMS, MAX_ITEMS, Document, Field, fields_of, read_fields, read_value, to_graph
from kg.errors import ClaimError, DanglingReferenceError, Fault, nearest
from kg.form import Form, form_of
from kg.graph import Graph, Index, index, read
from kg.knowledge import Knowledge, load_knowledge
from kg.lazy import lazy
from kg.path import first_steps
from kg.shapes import OfItself, Shape, Violation, read_shapes, refuse_idle, shape_names, validate
from kg.terms import CLAIMS, COV, ITS_OPERATION, ITSELF, TYPE, XSD, Literal, Term, Triple, local_name, resolved

SUFFIXES = {
    ".json": "json",
    ".jsonld": "jsonld",
    ".nt": "ntriples",
    ".ttl": "turtle",
    ".yaml": "yaml",
    ".yml": "yaml",
}

APPROACH = COV + "approach"
CLAIM = COV + "Claim"
CLAIM_LINE = COV + "ClaimLine"
CODE = COV + "code"
CONCEPT = COV + "concept"
CONUS_LEVEL = COV + "conusLevel"
DIAGNOSIS = COV + "diagnosis"
END = COV + "end"
FINDING = COV + "finding"
ID = COV + "id"
INTERVAL = COV + "interval"
LEVEL = COV + "level"
LINE_NUMBER = COV + "lineNumber"
NUMBER = COV + "number"
OF_CLAIM = COV + "ofClaim"
OPERATION = COV + "operation"
PERFORMER = COV + "performer"
PRESENT = COV + "Present"
PROCEDURE = COV + "procedure"
RECORDED_FACT = COV + "RecordedFact"
RECORDED_OPERATION = COV + "Operation"
RECORDED_PROCEDURE = COV + "RecordedProcedure"
REGION = COV + "region"
ROLE = COV + "role"
SERVICE_DATE = COV + "serviceDate"
SOURCE = COV + "source"
START = COV + "start"
STATUS = COV + "status"
TECHNIQUE = COV + "technique"
UNITS = COV + "units"
UNKNOWN = COV + "unknownCode"
DATE, DATE_TIME, INTEGER = (XSD + name for name in ("date", "dateTime", "integer"))


@dataclass(frozen=True)
class Claim:
    """A well-formed claim: its document, and the facts that it states about itself.

    Of itself a claim is `ITSELF`, and of its parts what they are called within it.
    """

    id: str
    iri: str
    payer: str | None
    policy: str | None
    service_date: date
    document: Document
    stated: tuple[Triple, ...]
    index: Index  # the values of each property of each node of the claim
    lines: list[tuple[int, str, str]]  # number, node and code of each service line

    @lazy
    def facts(self) -> tuple[Triple, ...]:
        """Return what the claim states, itself and its parts called as they are elsewhere."""
        return tuple(self.elsewhere(self.stated))

    def elsewhere(self, triples: Iterable[Triple]) -> Iterator[Triple]:
        """Yield triples about the claim, itself and its parts called as they are elsewhere."""
        for s, p, o in triples:
            yield resolved(s, self.iri), p, resolved(o, self.iri)


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
    value = read_value(data, format, schema.context, schema.fields)
    document = schema.form.read(value) if schema.form else None
    if document is None:
        document = read_fields(value, schema.fields)
        _refuse_malformed(document, schema)
    identifier = document["id"]
    if faults := list(_backward_intervals(document)):
        raise ClaimError(faults, identifier)
    normal = _normal(document)
    facts = _Facts(knowledge, normal)
    if facts.faults:
        facts = _Facts(knowledge, document)  # once more, for the places in the document as it was given
        raise ClaimError(facts.faults, identifier)
    return Claim(
        id=identifier,
        iri=CLAIMS + quote(identifier, safe=""),
        payer=normal.get("payer"),
        policy=normal.get("policy"),
        service_date=date.fromisoformat(normal["serviceDate"]),
        document=normal,
        stated=tuple(facts.triples),
        index=index(facts.triples),
        lines=facts.lines,
    )


@dataclass(frozen=True, slots=True)
class Schema:
    """What a claim document looks like: the JSON-LD context and the shapes of a well-formed claim."""

    context: Mapping[str, Any]
    fields: Mapping[str, Field]
    shapes: tuple[Shape, ...]
    form: Form | None


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
    return Schema(context, fields, shapes, form_of(fields, shapes))


def _terms_of(fields: Mapping[str, Field]) -> Iterator[str]:
    for field in fields.values():
        yield field.iri
        yield from _terms_of(field.fields)


def _refuse_malformed(document: Document, schema: Schema) -> None:
    if not document.keys() & {"serviceDate", "lines", "diagnoses", "operation"}:
        raise ClaimError([Fault("document", "this is not a claim", "give at least `id`, `serviceDate` and `lines`")])
    graph = to_graph(document, schema.fields, "claim:document")
    faults: list[Fault] = []
    for violation in validate(schema.shapes, graph):
        faults.append(_fault(violation, faults))
    faults.extend(_backward_intervals(document))
    if faults:
        raise ClaimError(faults, str(document.get("id", "")))


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
    normal = document.copy()
    if facts := document.get("facts"):
        facts = sorted(facts, key=lambda fact: sorted(fact.items()))
        normal["facts"] = [fact for i, fact in enumerate(facts) if not i or fact != facts[i - 1]]
    if len(procedures := document.get("operation", {}).get("procedures", ())) > 1:
        ordered = sorted(procedures, key=_in_order)
        normal["operation"] = {**document["operation"], "procedures": ordered}
    return normal


_in_order = json.JSONEncoder(sort_keys=True).encode


class _Facts:
    """The facts of one document; names that the ontology does not hold become faults."""

    def __init__(self, knowledge: Knowledge, document: Document) -> None:
        self.knowledge = knowledge
        self.document = document
        self.faults: list[Fault] = []
        self.lines: list[tuple[int, str, str]] = []
        self.triples: list[Triple] = [
            (ITSELF, TYPE, CLAIM),
            (ITSELF, SERVICE_DATE, Literal(document["serviceDate"], DATE)),
        ]
        for i, code in enumerate(document.get("diagnoses", ()), 1):
            self.diagnosis(i, code)
        self.operation(document.get("operation", {}))
        for i, line in enumerate(document["lines"], 1):
            self.line(i, line)
        for i, fact in enumerate(document.get("facts", ()), 1):
            self.fact(i, fact)

    def diagnosis(self, i: int, code: str) -> None:
        plain = code.upper().replace(".", "")
        iri = self.knowledge.diagnosis(plain)
        if iri is None:
            near = _categories(self.knowledge).get(plain[:3], ())
            dotted = (c if len(c) < 4 else f"{c[:3]}.{c[3:]}" for c in near)
            help = nearest(code, dotted, "check the code against ICD-10-CM", self.faults)
            self.faults.append(Fault(f"/diagnoses/{i - 1}", f"no release of ICD-10-CM holds `{code}`", help))
            return
        node = intern(f"#diagnosis-{i}")
        self.triples += (
            (ITSELF, DIAGNOSIS, node),
            (ITSELF, FINDING, node),
            (node, TYPE, iri),
            (node, CODE, iri),
            (node, NUMBER, _number(i)),
            (node, STATUS, PRESENT),
        )

    def operation(self, operation: Document) -> None:
        node, add = ITS_OPERATION, self.triples.append
        add((ITSELF, OPERATION, node))
        if operation:
            add((node, TYPE, RECORDED_OPERATION))
        if "conusLevel" in operation:
            self.level(node, CONUS_LEVEL, operation["conusLevel"], "/operation/conusLevel")
        for i, procedure in enumerate(operation.get("procedures", ()), 1):
            part = intern(f"#procedure-{i}")
            add((node, PROCEDURE, part))
            add((part, TYPE, RECORDED_PROCEDURE))
            add(self.service(part, procedure["code"]))
            if "units" in procedure:
                add((part, UNITS, Literal(procedure["units"], INTEGER)))
            for k, name in enumerate(procedure.get("levels", ())):
                self.level(part, LEVEL, name, f"/operation/procedures/{i - 1}/levels/{k}")
            if "approach" in procedure:
                add((part, APPROACH, Literal(procedure["approach"])))

    def line(self, i: int, line: Document) -> None:
        node, add = intern(f"#line-{i}"), self.triples.append
        self.lines.append((i, node, line["code"]))
        add((node, TYPE, CLAIM_LINE))
        add((node, OF_CLAIM, ITSELF))
        add((node, LINE_NUMBER, _number(i)))
        add(self.service(node, line["code"]))
        if "units" in line:
            add((node, UNITS, Literal(line["units"], INTEGER)))
        if "technique" in line:
            add((node, TECHNIQUE, self.knowledge.named("Technique")[line["technique"]]))
        if "performer" in line:
            performer = intern(f"#performer-{i}")
            add((node, PERFORMER, performer))
            if "id" in line["performer"]:
                add((performer, ID, Literal(line["performer"]["id"])))
            if "role" in line["performer"]:
                add((performer, ROLE, self.knowledge.named("Role")[line["performer"]["role"]]))
        for k, interval in enumerate(line.get("intervals", ()), 1):
            part = intern(f"#interval-{i}-{k}")
            add((node, INTERVAL, part))
            add((part, START, Literal(interval["start"], DATE_TIME)))
            add((part, END, Literal(interval["end"], DATE_TIME)))

    def fact(self, i: int, fact: Document) -> None:
        node, add, knowledge = intern(f"#fact-{i}"), self.triples.append, self.knowledge
        add((ITSELF, FINDING, node))
        add((node, TYPE, RECORDED_FACT))
        if concept := self.known("fact", fact["fact"], knowledge.facts, f"/facts/{i - 1}/fact"):
            add((node, CONCEPT, concept))
        add((node, STATUS, knowledge.named("FactStatus")[fact["status"]]))
        if "region" in fact and (
            region := self.known("region", fact["region"], knowledge.regions, f"/facts/{i - 1}/region")
        ):
            add((node, REGION, region))
        if "source" in fact:
            add((node, SOURCE, Literal(fact["source"])))

    def service(self, node: str, code: str) -> Triple:
        """Return the code of a line or procedure, as a code of the ontology if it holds it."""
        iri = self.knowledge.service(code)
        return (node, CODE, iri) if iri else (node, UNKNOWN, Literal(code))

    def level(self, node: str, predicate: str, name: str, place: str) -> None:
        levels = self.knowledge.levels
        spanned = [] if name in levels else self._spanned(name)
        help = f"write each interspace: {', '.join(spanned)}" if spanned else None
        if level := self.known("level", name, levels, place, help):
            self.triples.append((node, predicate, level))

    def _spanned(self, name: str) -> list[str]:
        """Return the interspaces between two levels that are not neighbours, to suggest them."""
        ends = name.split("-")
        levels = list(self.knowledge.levels)
        if len(ends) != 2 or not all(end in levels for end in ends):
            return []
        first, last = sorted(map(levels.index, ends))
        return [level for level in levels[first:last] if "-" in level]

    def known(self, kind: str, name: str, names: Mapping[str, str], place: str, help: str | None = None) -> str | None:
        if name in names:
            return names[name]
        some = ", ".join(list(names)[:8])
        help = help or nearest(name, names, f"for example {some}", self.faults)
        self.faults.append(Fault(place, f"`{name[:80]}` is not a {kind} that the ontology holds", help))
        return None


def _categories(knowledge: Knowledge) -> dict[str, list[str]]:
    """Return the codes of ICD-10-CM by their first three characters."""

    def compute() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in knowledge.release.splitlines():
            code = line.rstrip("-")
            found.setdefault(code[:3], []).append(code)
        return found

    return knowledge.remember(("categories",), compute)


@lru_cache(MAX_ITEMS["lines"])
def _number(n: int) -> Term:
    return Literal(str(n), XSD + "integer")


__all__ = ["CLAIM_TERMS", "Claim", "parse_claim", "read_claim"]
