"""Claims in other notations: the same document as JSON, JSON-LD or Turtle."""

import json
from collections.abc import Mapping
from typing import Any

import pyoxigraph as ox

from kg.document import CLAIM_TERMS, CONTEXT_IRI, Document, Field
from kg.explain import Determination
from kg.graph import serialize
from kg.knowledge import Knowledge
from kg.load import Claim, claim_schema
from kg.terms import PREFIXES, XSD, Literal, local_name, written


def convert(claim: Claim, knowledge: Knowledge, format: str) -> str:
    """Write a claim document as `json`, `jsonld` or `turtle`; reading it again gives the same claim."""
    fields = claim_schema(knowledge.root).fields
    if format == "turtle":
        prefixes = f"@prefix claim: <{CLAIM_TERMS}> .\n@prefix xsd: <{XSD}> .\n"
        return f"{prefixes}\n<{claim.iri}> {_turtle(claim.document, fields, 1)} .\n"
    document = _plain(claim.document, fields)
    if format == "jsonld":
        document = {"@context": CONTEXT_IRI, **document}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def facts_turtle(determination: Determination) -> str:
    """Write the facts of a claim, those derived, and the settled decisions of base lines, as Turtle."""
    return serialize(determination.triples(), ox.RdfFormat.TURTLE, PREFIXES)


def _plain(document: Document, fields: Mapping[str, Field]) -> Document:
    """Return a document with its whole numbers as numbers."""

    def value(inner: Any, field: Field) -> Any:
        if isinstance(inner, list):
            return [value(item, field) for item in inner]
        if field.fields:
            return _plain(inner, field.fields)
        return int(inner) if field.datatype == XSD + "integer" else inner

    return {name: value(inner, fields[name]) for name, inner in document.items()}


def _turtle(document: Document, fields: Mapping[str, Field], depth: int) -> str:
    """Write the fields of a node as Turtle, nodes within it in brackets."""

    def value(inner: Any, field: Field, depth: int) -> str:
        pad = "    " * (depth + 1)
        if isinstance(inner, list):
            items = [value(item, field, depth) for item in inner]
            return f"( {' '.join(items)} )" if not field.fields else f"(\n{pad}" + f"\n{pad}".join(items) + " )"
        if field.fields:
            return f"[ {_turtle(inner, field.fields, depth + 1)} ]" if inner else "[]"
        text = written(Literal(inner))
        return text if field.datatype == XSD + "string" else f"{text}^^xsd:{local_name(field.datatype)}"

    pad = f" ;\n{'    ' * depth}" if depth == 1 else " ; "
    return pad.join(f"claim:{name} {value(inner, fields[name], depth)}" for name, inner in document.items())
