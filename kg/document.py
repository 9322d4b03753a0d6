"""Claim documents: bytes from outside into plain values, by the fields that the bundled context names.

JSON and YAML state the fields directly; RDF states them as a graph that is read back into fields, and a triple
that is no field of a claim is refused. Nothing is fetched and no parser but pyoxigraph's sees RDF from outside.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import pyoxigraph as ox

from kg.errors import ClaimError, Fault, nearest
from kg.graph import FIRST, NIL, REST, Graph, parse
from kg.terms import TYPE, XSD, Blank, Literal, Term, Triple, local_name

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_TRIPLES = 20_000
MAX_TEXT = 64_000
MAX_ITEMS = {"diagnoses": 100, "facts": 2_000, "intervals": 200, "levels": 60, "lines": 1_000, "procedures": 200}
KINDS = {XSD + "string": "text", XSD + "integer": "whole number", XSD + "date": "date", XSD + "dateTime": "time"}
KEYWORDS = {"@context", "@graph", "@id", "@list", "@set", "@type", "@value"}
FORMATS = ("json", "yaml", "jsonld", "turtle", "ntriples")
CLAIM_TERMS = "https://w3id.org/coverpath/claim#"
CONTEXT_IRI = "https://w3id.org/coverpath/claim-context.jsonld"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a claim document, as the context describes it."""

    iri: str
    datatype: str
    is_list: bool
    fields: Mapping[str, "Field"]


def fields_of(context: Mapping[str, Any]) -> dict[str, Field]:
    """Read the fields of a JSON-LD context; a term with a context of its own holds fields in turn."""
    return {
        name: Field(
            iri=CLAIM_TERMS + name,
            datatype=XSD + "string" if isinstance(term, str) else term.get("@type", "xsd:string").replace("xsd:", XSD),
            is_list=isinstance(term, dict) and term.get("@container") == "@list",
            fields=fields_of(term.get("@context", {})) if isinstance(term, dict) else {},
        )
        for name, term in context.items()
        if not name.startswith("@") and not str(term).endswith("#")  # neither a keyword nor a prefix
    }


def read_value(data: bytes, format: str, context: Mapping[str, Any], fields: Mapping[str, Field]) -> Any:
    """Read the bytes of a claim document into plain values.

    Raises ClaimError where the bytes are not of the format.
    """
    if len(data) > MAX_BYTES:
        raise ClaimError(
            [Fault("document", f"the document has more than {MAX_BYTES:,} bytes", "send one claim at a time")]
        )
    if format not in FORMATS:
        raise ClaimError([Fault("document", f"`{format}` is not a format of claims", f"use {', '.join(FORMATS)}")])
    try:
        return _value(data, format, context, fields)
    except RecursionError:
        raise ClaimError([_too_deep(MAX_DEPTH)]) from None


def read_fields(value: Any, fields: Mapping[str, Field]) -> Document:
    """Read plain values into the fields of a claim document, texts and whole numbers only.

    Raises ClaimError where they state anything but fields of a claim.
    """
    faults: list[Fault] = []
    document = _fields(value, fields, "", faults)
    if faults:
        raise ClaimError(faults)
    return document


def _value(data: bytes, format: str, context: Mapping[str, Any], fields: Mapping[str, Field]) -> Any:
    match format:
        case "json":
            return _json(data)
        case "yaml":
            return _yaml(data)
        case "jsonld":
            value = _json(data)
            plain = _our_jsonld(value, context)
            return _framed(_with_our_context(value, context), format, fields) if plain is None else plain
    _refuse_deep(data.decode("utf-8", "replace"), 2 * MAX_DEPTH)
    return _framed(data, format, fields)


def to_graph(document: Document, fields: Mapping[str, Field], base: str) -> Graph:
    """Return the document graph: one node an object, named by its place in the document."""
    return Graph(_triples(document, fields, base, ""))


def _triples(value: Document, fields: Mapping[str, Field], base: str, place: str) -> Iterator[Triple]:
    node = f"{base}#{place}" if place else base
    for name, inner in value.items():
        field, spot = fields[name], f"{place}/{name}"
        if not field.is_list:
            yield node, field.iri, _node(inner, field, base, spot)
            if field.fields:
                yield from _triples(inner, field.fields, base, spot)
            continue
        cells: list[Term] = [f"{base}#{spot}/{i}/cell" for i in range(len(inner))]
        yield node, field.iri, cells[0] if cells else NIL
        for i, item in enumerate(inner):
            yield cells[i], FIRST, _node(item, field, base, f"{spot}/{i}")
            yield cells[i], REST, cells[i + 1] if i + 1 < len(cells) else NIL
            if field.fields:
                yield from _triples(item, field.fields, base, f"{spot}/{i}")


def _node(value: Any, field: Field, base: str, place: str) -> Term:
    return f"{base}#{place}" if field.fields else Literal(str(value), field.datatype)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ClaimError([Fault("document", "the bytes are not UTF-8", "save the file as UTF-8")]) from None


def _json(data: bytes) -> Any:
    text = _text(data)
    _refuse_deep(text, MAX_DEPTH)
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant, parse_int=_whole, parse_float=_real)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ClaimError(
            [Fault(place, f"this is not JSON: {error.msg.lower()}", "check commas, quotes and brackets")]
        ) from None


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) < len(items):
        counts = Counter(name for name, _ in items)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ClaimError([Fault("document", f"the field `{twice[:80]}` is given twice in one object", "keep one")])
    return found


def _constant(text: str) -> Any:
    raise ClaimError([Fault("document", "a number is not finite", "write a whole number")])


def _whole(text: str) -> int:
    return int(text[:20])  # more digits than any field allows, and less than would be slow


def _real(text: str) -> float:
    return float(text[:40])


# What holds no brackets, in Turtle: an escaped character of a name, an IRI, a comment, a text. JSON has the last alone.
_QUOTED = re.compile(
    r"""\\.|<[^\x00-\x20<>"{}|^`]*+>|#[^\r\n]*+|(\"{3}|'{3}|"|')(?:[^"'\\]++|\\.|(?!\1).)*+(?:\1|\Z)""", re.S
)


def _refuse_deep(text: str, limit: int) -> None:
    """Refuse brackets that nest too deep before a parser sees them: pyoxigraph's crashes on deep triple terms."""
    if sum(map(text.count, "[{(")) <= limit:
        return
    depth = 0
    for bracket in re.findall(r"[][{}()]", _QUOTED.sub("", text)):
        depth += 1 if bracket in "[{(" else -1
        if depth > limit:
            raise ClaimError([_too_deep(limit)])


def _yaml(data: bytes) -> Any:
    """Build texts, lists and mappings only: a code is no number, and aliases cannot multiply."""
    import yaml

    def refuse(event: Any, problem: str, help: str) -> NoReturn:
        mark = event.start_mark
        raise ClaimError([Fault(f"line {mark.line + 1}, column {mark.column + 1}", problem, help)])

    def inner() -> Iterator[Any]:
        while not isinstance(event := next(events), yaml.CollectionEndEvent):
            yield event

    def build(event: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ClaimError([_too_deep(MAX_DEPTH)])
        if isinstance(event, yaml.AliasEvent):
            refuse(event, "YAML aliases are not read", "write the value out")
        if isinstance(event, yaml.ScalarEvent):
            return event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return [build(item, depth + 1) for item in inner()]
        found: dict[str, Any] = {}
        for key in inner():
            name = build(key, depth + 1)
            if not isinstance(name, str):
                refuse(key, "the name of a field is a text", "check indentation and colons")
            if name in found:
                refuse(key, f"the field `{name[:80]}` is given twice", "keep one")
            found[name] = build(next(events), depth + 1)
        return found

    text = _text(data)
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml where it is installed: twenty times as fast
    try:
        events = (e for e in yaml.parse(text, loader) if isinstance(e, (yaml.NodeEvent, yaml.CollectionEndEvent)))
        first = next(events, None)
        value = None if first is None else build(first, 1)
        if second := next(events, None):
            refuse(second, "a second document begins", "send one claim at a time")
        return value
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "document"
        raise ClaimError([Fault(place, "this is not YAML", "check indentation, colons and quotes")]) from None
    except (yaml.YAMLError, ValueError):
        raise ClaimError([Fault("document", "this is not YAML", "check indentation, colons and quotes")]) from None


def _too_deep(limit: int) -> Fault:
    return Fault("document", f"the document is nested more than {limit} deep", "a claim needs far less")


def _our_jsonld(value: Any, context: Mapping[str, Any]) -> Any:
    """Return the fields of a document that uses nothing of JSON-LD but our context; None where more is to be read."""
    if not isinstance(value, dict) or value.get("@context") not in (CONTEXT_IRI, [CONTEXT_IRI], context):
        return None
    document = {name: inner for name, inner in value.items() if name != "@context"}
    return None if any(name.startswith("@") for name in _names(document)) else document


def _names(value: Any) -> Iterator[str]:
    """Yield the names of all fields within a document; a context holds none."""
    if isinstance(value, dict):
        yield from value
        value = [inner for name, inner in value.items() if name != "@context"]
    for item in value if isinstance(value, list) else ():
        yield from _names(item)


def _framed(data: bytes, format: str, fields: Mapping[str, Field]) -> Document:
    kinds = {"turtle": ox.RdfFormat.TURTLE, "ntriples": ox.RdfFormat.N_TRIPLES, "jsonld": ox.RdfFormat.JSON_LD}
    try:
        triples = []
        for triple in parse(data, kinds[format], base="https://w3id.org/coverpath/claims/"):
            triples.append(triple)
            if len(triples) > MAX_TRIPLES:
                raise ClaimError([Fault("document", f"more than {MAX_TRIPLES:,} triples", "send one claim at a time")])
    except SyntaxError as error:
        place = f"line {error.lineno}, column {error.offset}" if error.lineno else "document"
        help = (
            "contexts are never fetched; name ours or write yours out" if "ontext" in str(error) else "check the syntax"
        )
        raise ClaimError([Fault(place, f"this is not {format}", help)]) from None
    return frame(triples, fields)


def _with_our_context(value: Any, context: Mapping[str, Any]) -> bytes:
    """Put our context in place of its name, wherever a document names it; refuse names that JSON-LD would drop."""
    for name in _names(value):
        if (name.startswith("@") and name not in KEYWORDS) or re.search(r'[\x00-\x20<>"{}|\\^`]', name):
            raise ClaimError([Fault("document", f"`{name[:80]}` is not a field", "see the claim fields in README.md")])

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: _context(v) if k == "@context" else replaced(v) for k, v in value.items()}
        return [replaced(item) for item in value] if isinstance(value, list) else value

    def _context(value: Any) -> Any:
        if isinstance(value, list):
            return [_context(item) for item in value]
        return context if value == CONTEXT_IRI else value

    return json.dumps(replaced(value)).encode()


def frame(triples: list[Triple], fields: Mapping[str, Field]) -> Document:
    """Read a document graph back into fields, with None for a value that is not of its field's kind.

    Raises ClaimError, one fault for each triple that is not a field of the claim.
    """
    graph = Graph(triples)
    objects = {o for _, p, o in triples if p != TYPE}
    roots = [s for s in dict.fromkeys(s for s, _, _ in triples) if s not in objects]
    claims = [
        root for root in roots if any(graph.value(root, CLAIM_TERMS + name) for name in ("id", "lines", "serviceDate"))
    ]
    if len(claims) != 1:
        raise ClaimError(
            [
                Fault(
                    "document",
                    f"the graph holds {len(claims)} claims",
                    "give one node with `id`, `serviceDate` and `lines`",
                )
            ]
        )
    claim = claims[0]
    used: set[Triple] = {(claim, TYPE, CLAIM_TERMS + "Claim")}
    entered: set[Term] = {claim}

    def enter(node: Term, place: str) -> None:
        if node in entered:
            raise ClaimError([Fault(place, "a node of the graph stands in two places", "write a node for each place")])
        entered.add(node)

    def node(subject: Term, fields: Mapping[str, Field], place: str) -> Document:
        found: Document = {}
        for name, field in fields.items():
            for value in graph.objects(subject, field.iri)[:1]:
                used.add((subject, field.iri, value))
                found[name] = (members if field.is_list else single)(value, field, f"{place}/{name}")
        return found

    def members(cell: Term, field: Field, place: str) -> list[Any] | None:
        items: list[Any] = []
        while cell != NIL:
            first, rest = graph.value(cell, FIRST), graph.value(cell, REST)
            if first is None or rest is None:
                return None
            enter(cell, place)
            used.update({(cell, FIRST, first), (cell, REST, rest)})
            items.append(single(first, field, f"{place}/{len(items)}"))
            cell = rest
        return items

    def single(value: Term, field: Field, place: str) -> Any:
        if not field.fields:
            return value.value if isinstance(value, Literal) and value.datatype == field.datatype else None
        if isinstance(value, Literal) or (isinstance(value, str) and not graph.predicates(value)):
            return None
        enter(value, place)
        return node(value, field.fields, place)

    document = node(claim, fields, "")
    strangers = [triple for triple in triples if triple not in used]
    if strangers:
        raise ClaimError(map(_stranger, strangers))
    return document


def _stranger(triple: Triple) -> Fault:
    s, p, o = (_short(term) for term in triple)
    return Fault(
        f"triple {s} {p} {o}", "a claim states facts about itself only", "leave out what is no field of the claim"
    )


def _short(term: Term) -> str:
    if isinstance(term, Blank):
        return "[]"
    return "a text" if isinstance(term, Literal) else local_name(term)[:80]


def _fields(value: Any, fields: Mapping[str, Field], place: str, faults: list[Fault]) -> Document:
    if not isinstance(value, dict):
        faults.append(
            Fault(place or "document", "an object with named fields belongs here", f"fields: {', '.join(fields)}")
        )
        return {}
    found: Document = {}
    for name, inner in value.items():
        field, spot = fields.get(name), f"{place}/{name[:80]}"
        if field is None:
            faults.append(
                Fault(
                    spot,
                    f"`{name[:80]}` is not a field here",
                    nearest(name, fields, f"fields: {', '.join(fields)}", faults),
                )
            )
        elif not field.is_list:
            found[name] = _field(inner, field, spot, faults)
        elif isinstance(inner, list) and len(inner) > MAX_ITEMS[name]:
            faults.append(
                Fault(spot, f"`{name}` has more than {MAX_ITEMS[name]:,} members", "send one claim at a time")
            )
        elif isinstance(inner, list):
            found[name] = [_field(item, field, f"{spot}/{i}", faults) for i, item in enumerate(inner)]
        else:
            faults.append(Fault(spot, f"`{name}` is a list", "write it in [ ], in Turtle in ( )"))
    return {name: found[name] for name in fields if name in found}


def _field(value: Any, field: Field, place: str, faults: list[Fault]) -> Any:
    if field.fields:
        return _fields(value, field.fields, place, faults)
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if field.datatype == XSD + "integer":
            return str(value)
        faults.append(Fault(place, "a text belongs here, not a number", "write it in quotes"))
    elif isinstance(value, str):
        faults.append(Fault(place, f"the text has more than {MAX_TEXT:,} characters", "shorten it"))
    else:
        help = f"leave the field out if nothing is known; in RDF it is a literal of xsd:{local_name(field.datatype)}"
        faults.append(Fault(place, f"a {KINDS[field.datatype]} belongs here", help))
    return ""
