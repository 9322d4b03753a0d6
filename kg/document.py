"""Claim documents: bytes from outside into plain values, by the fields that the bundled context names.

JSON and YAML state the fields directly; RDF states them as a graph that is read back into fields, and a triple
that is no field of a claim is refused. Nothing is fetched and no parser but pyoxigraph's sees RDF from outside.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyoxigraph as ox

from kg.errors import ClaimError, Fault, nearest
from kg.graph import FIRST, NIL, REST, Graph, parse
from kg.terms import TYPE, XSD, Blank, Literal, Term, Triple, local_name, written

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_TRIPLES = 20_000
MAX_TEXT = 64_000
DATATYPES = {XSD + name for name in ("string", "boolean", "integer", "date", "dateTime")}
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
        if not name.startswith("@") and name != "xsd"
    }


def read_document(data: bytes, format: str, context: Mapping[str, Any]) -> Document:
    """Read the bytes of a claim document into its fields, texts and whole numbers only.

    Raises ClaimError where the bytes are not of the format or state anything but fields of a claim.
    """
    if len(data) > MAX_BYTES:
        raise ClaimError(
            [Fault("document", f"the document has more than {MAX_BYTES:,} bytes", "send one claim at a time")]
        )
    if format not in FORMATS:
        raise ClaimError([Fault("document", f"`{format}` is not a format of claims", f"use {', '.join(FORMATS)}")])
    fields = fields_of(context)
    if format == "json":
        value = _json(data)
    elif format == "yaml":
        value = _yaml(data)
    else:
        value = None
        if format == "jsonld":
            value = _json(data)
            value = _our_jsonld(value, context)
        if value is None:
            value = _framed(data, format, context, fields)
    faults: list[Fault] = []
    document = _fields(value, fields, "", faults)
    if faults:
        raise ClaimError(faults)
    return document


def to_graph(document: Document, fields: Mapping[str, Field], base: str) -> Graph:
    """Return the document graph: one node an object, named by its place in the document."""
    return Graph(_triples(document, fields, base, ""))


def to_triples(document: Document, context: Mapping[str, Any], base: str) -> list[Triple]:
    """Return the triples of the document graph."""
    return list(_triples(document, fields_of(context), base, ""))


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


def _json(data: bytes) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(items)
        if len(seen) < len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            raise ClaimError([Fault("document", f"the field `{twice[:80]}` is given twice in one object", "keep one")])
        return seen

    def refuse(text: str) -> Any:
        raise ClaimError([Fault("document", "a number is not finite", "write a whole number")])

    try:
        text = data.decode("utf-8-sig")
        if _depth(text) > MAX_DEPTH:
            raise ClaimError([_too_deep(MAX_DEPTH)])
        return json.loads(text, object_pairs_hook=pairs, parse_constant=refuse, parse_int=_whole, parse_float=_real)
    except UnicodeDecodeError as error:
        raise ClaimError([Fault("document", "the bytes are not UTF-8", "save the file as UTF-8")]) from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ClaimError(
            [Fault(place, f"this is not JSON: {error.msg.lower()}", "check commas, quotes and brackets")]
        ) from None


def _whole(text: str) -> int:
    return int(text[:20])  # more digits than any field allows, and less than would be slow


def _real(text: str) -> float:
    return float(text[:40])


def _depth(text: str) -> int:
    """Return how deep brackets nest, quoted ones included: enough to refuse an attack before parsing."""
    depth = deepest = 0
    for char in text:
        if char in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "}]":
            depth -= 1
    return deepest


def _yaml(data: bytes) -> Any:
    import yaml

    class Loader(yaml.BaseLoader):
        """Builds texts, lists and mappings only: a code is no number, and aliases cannot multiply."""

        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            if isinstance(event, yaml.AliasEvent):
                raise ClaimError([Fault(_mark(event), "YAML aliases are not read", "write the value out")])
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ClaimError([_too_deep(MAX_DEPTH)])
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            for key in keys:
                if keys.count(key) > 1:
                    raise ClaimError([Fault(_mark(node), f"the field `{key[:80]}` is given twice", "keep one")])
            return super().construct_mapping(node, deep)

    def _mark(event: Any) -> str:
        return f"line {event.start_mark.line + 1}, column {event.start_mark.column + 1}"

    try:
        text = data.decode("utf-8-sig")
        if _depth(text) > MAX_DEPTH:
            raise ClaimError([_too_deep(MAX_DEPTH)])
        return yaml.load(text, Loader)
    except UnicodeDecodeError as error:
        raise ClaimError([Fault("document", "the bytes are not UTF-8", "save the file as UTF-8")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "document"
        raise ClaimError([Fault(place, "this is not YAML", "check indentation, colons and quotes")]) from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise ClaimError([Fault("document", "this is not YAML", "check indentation, colons and quotes")]) from None


def _too_deep(limit: int) -> Fault:
    return Fault("document", f"the document is nested more than {limit} deep", "a claim needs far less")


def _our_jsonld(value: Any, context: Mapping[str, Any]) -> Any:
    """Return the fields of a document whose only context is ours; None where another context must be applied."""
    if isinstance(value, dict) and value.get("@context") in (CONTEXT_IRI, [CONTEXT_IRI], context):
        return {name: inner for name, inner in value.items() if name != "@context"}
    return None


def _framed(data: bytes, format: str, context: Mapping[str, Any], fields: Mapping[str, Field]) -> Document:
    kinds = {"turtle": ox.RdfFormat.TURTLE, "ntriples": ox.RdfFormat.N_TRIPLES, "jsonld": ox.RdfFormat.JSON_LD}
    if format == "jsonld":
        data = _with_our_context(data, context)
    elif _depth(data.decode("utf-8", "replace")) > 2 * MAX_DEPTH:
        raise ClaimError([_too_deep(2 * MAX_DEPTH)])
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


def _with_our_context(data: bytes, context: Mapping[str, Any]) -> bytes:
    """Put our context in place of its name, wherever a document names it."""

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: _context(v) if k == "@context" else replaced(v) for k, v in value.items()}
        return [replaced(item) for item in value] if isinstance(value, list) else value

    def _context(value: Any) -> Any:
        if isinstance(value, list):
            return [_context(item) for item in value]
        return context if value == CONTEXT_IRI else value

    return json.dumps(replaced(_json(data))).encode()


def frame(triples: list[Triple], fields: Mapping[str, Field]) -> Document:
    """Read a document graph back into fields; every triple must be one.

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
    used: set[Triple] = set()

    def node(subject: Term, fields: Mapping[str, Field]) -> Document:
        found: Document = {}
        used.update((subject, TYPE, o) for o in graph.objects(subject, TYPE) if str(o).startswith(CLAIM_TERMS))
        for name, field in fields.items():
            values = graph.objects(subject, field.iri)
            if not values:
                continue
            used.update((subject, field.iri, value) for value in values[:1])
            found[name] = members(values[0], field) if field.is_list else plain(values[0], field)
        return found

    def members(head: Term, field: Field) -> list[Any]:
        items: list[Any] = []
        while head != NIL and (firsts := graph.objects(head, FIRST)) and (head, FIRST, firsts[0]) not in used:
            rest = graph.value(head, REST) or NIL
            used.update({(head, FIRST, firsts[0]), (head, REST, rest)})
            items.append(plain(firsts[0], field))
            head = rest
        return items

    def plain(value: Term, field: Field) -> Any:
        if field.fields:
            return {} if isinstance(value, Literal) else node(value, field.fields)
        if isinstance(value, Literal) and value.datatype in DATATYPES:
            return value.value
        return {"@id": written(value)}

    document = node(claims[0], fields)
    strangers = [triple for triple in triples if triple not in used]
    if strangers:
        raise ClaimError(map(_stranger, strangers[:20]))
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
                Fault(spot, f"`{name[:80]}` is not a field here", nearest(name, fields, f"fields: {', '.join(fields)}"))
            )
        elif not field.is_list:
            found[name] = _field(inner, field, spot, faults)
        elif isinstance(inner, list):
            found[name] = [_field(item, field, f"{spot}/{i}", faults) for i, item in enumerate(inner)]
        else:
            faults.append(Fault(spot, f"`{name}` is a list", "write it in [ ]"))
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
        kind = "whole number" if field.datatype == XSD + "integer" else "text"
        faults.append(Fault(place, f"a {kind} belongs here", "leave the field out if nothing is known"))
    return ""
