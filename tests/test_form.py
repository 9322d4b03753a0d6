"""A claim document that the form reads is one that the shapes accept, and the same document."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import RdfFormat

import kg
from kg.document import fields_of, read_fields, to_graph
from kg.form import Form, form_of
from kg.graph import Graph, parse
from kg.load import claim_schema
from kg.shapes import Shape, read_shapes, shape_names, validate
from tests.conftest import ROOT, example

SCHEMA = claim_schema(ROOT)
CONTEXT: dict[str, Any] = {
    "id": "id",
    "levels": {"@id": "levels", "@container": "@list"},
    "lines": {"@id": "lines", "@container": "@list", "@context": {"units": {"@id": "units", "@type": "xsd:integer"}}},
}
FIELDS = fields_of(CONTEXT)
PREFIXES = """
    @prefix claim: <https://w3id.org/coverpath/claim#> . @prefix sh: <http://www.w3.org/ns/shacl#> .
    @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""


def shapes(asked: str) -> tuple[Shape, ...]:
    """Read shapes that are written in Turtle."""
    graph = Graph(parse((PREFIXES + asked).encode(), RdfFormat.TURTLE))
    return tuple(read_shapes(graph, shape_names(graph)).values())


def form(asked: str) -> Form | None:
    """Compile what is asked of a document with an id."""
    return form_of(FIELDS, shapes(f"claim:C sh:targetSubjectsOf claim:lines ; sh:property [ {asked} ] ."))


def accepted(value: Any) -> Any:
    """Return the document that the validator accepts; None where it finds fault."""
    try:
        document = read_fields(value, SCHEMA.fields)
    except kg.ClaimError:
        return None
    asked = document.keys() & {"serviceDate", "lines", "diagnoses", "operation"}
    graph = to_graph(document, SCHEMA.fields, "claim:document")
    return document if asked and not validate(SCHEMA.shapes, graph) else None


def test_our_shapes_have_a_form() -> None:
    """What we ask of claim documents is compiled, and an example is read by it."""
    assert SCHEMA.form and SCHEMA.form.read(example("c01")) == accepted(example("c01"))


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each value within a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([way] if way else []), *(found for key, item in inner for found in places(item, (*way, key)))]


STRANGE: list[Any] = [
    *("", "x", "a" * 101, "a" * 1001, "a" * 64_001, "\x00", "95938", "9593", "C4-C5", "present", "surgeon", "M54.12"),
    *("2025-03-14", "2025-02-30", "2025-03-14\n", "2025-03-14T08:00:00", "2025-03-14T08:00:00Z", "\ud800", "\u0660"),
    *(None, True, 0, 1, 130, 131, 999, 1000, -1, "-1", "1", 1.5, [], {}, [[]], ["C4-C5"], [{"code": "95938"}]),
]
NAMES = ["units", "code", "levels", "intervals", "start", "performer", "role", "technique", "region", "age", "strange"]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_form_and_validator_agree(data: st.DataObject) -> None:
    """Whatever is changed in a document, the form reads it just where the validator finds no fault.

    A value that is put in is a copy: the next change may be within it.
    """
    document = copy.deepcopy(example(data.draw(st.sampled_from(["c01", "c02"]))))
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(places(document) or [("id",)]))
        inner: Any = document
        for step in way:
            inner = inner[step]
        change = data.draw(st.sampled_from(["drop", "set", "add"]))
        if change == "drop":
            inner.pop(*((last,) if isinstance(inner, list) else (last, None)))
        elif change == "add" and isinstance(inner, dict):
            inner[data.draw(st.sampled_from(NAMES))] = copy.deepcopy(data.draw(st.sampled_from(STRANGE)))
        elif change == "set":
            inner[last] = copy.deepcopy(data.draw(st.sampled_from(STRANGE)))
    assert SCHEMA.form
    read, found = SCHEMA.form.read(document), accepted(document)
    assert read == found
    assert json.dumps(read) == json.dumps(found)  # in the same order


@pytest.mark.parametrize(
    ("asked", "good", "bad"),
    [
        ("sh:path claim:id ; sh:minCount 1", {"id": ""}, {}),
        ("sh:path claim:id ; sh:maxLength 2", {"id": "ab"}, {"id": "abc"}),
        ('sh:path claim:id ; sh:in ( "a" )', {"id": "a"}, {"id": "b"}),
        ('sh:path claim:id ; sh:pattern "^a$"', {"id": "a"}, {"id": "a\n"}),
        ("sh:path claim:id ; sh:datatype xsd:string", {"id": "a"}, {"id": 1}),
        ("sh:path claim:lines ; sh:minCount 1", {"lines": []}, {}),
        ("sh:path ( claim:lines [ sh:zeroOrMorePath rdf:rest ] rdf:first ) ; sh:minCount 1", {"lines": [{}]}, {}),
        (
            "sh:path ( claim:levels [ sh:zeroOrMorePath rdf:rest ] rdf:first ) ; sh:minLength 1",
            {"levels": ["a"]},
            {"levels": ["a", ""]},
        ),
        (
            "sh:path ( claim:lines [ sh:zeroOrMorePath rdf:rest ] rdf:first ) ; "
            "sh:property [ sh:path claim:units ; sh:maxInclusive 5 ]",
            {"lines": [{"units": 5}]},
            {"lines": [{"units": 6}]},
        ),
        ("sh:path claim:id ; sh:minCount 1 ; sh:deactivated true", {}, {"strange": ""}),
    ],
)
def test_what_a_form_asks(asked: str, good: dict[str, Any], bad: dict[str, Any]) -> None:
    """Each constraint of a field is asked of it."""
    compiled = form(asked)
    assert compiled and compiled.read(good) is not None and compiled.read(bad) is None


@pytest.mark.parametrize(
    "asked",
    [
        "sh:path claim:id ; sh:maxCount 0",
        "sh:path claim:id ; sh:minCount 2",
        "sh:path claim:strange ; sh:minCount 1",
        "sh:path [ sh:inversePath claim:id ] ; sh:minCount 1",
        "sh:path claim:id ; sh:class claim:C",
        'sh:path claim:id ; sh:or ( [ sh:in ( "a" ) ] [ sh:in ( "b" ) ] )',
        "sh:path claim:lines ; sh:nodeKind sh:IRI",
        "sh:path ( claim:levels [ sh:zeroOrMorePath rdf:rest ] rdf:first ) ; sh:minCount 2",
        "sh:path ( claim:levels [ sh:zeroOrMorePath rdf:rest ] ) ; sh:property [ sh:path rdf:first ; sh:minCount 1 ]",
    ],
)
def test_what_is_beyond_a_form(asked: str) -> None:
    """Where shapes ask for more than a form can tell, there is none, and the validator is asked."""
    assert form(asked) is None


@pytest.mark.parametrize(
    "target", ["targetNode claim:x", "targetObjectsOf claim:lines", "targetSubjectsOf claim:units"]
)
def test_a_form_is_of_the_document(target: str) -> None:
    """Shapes that are aimed at anything but the document as a whole have no form."""
    assert form_of(FIELDS, shapes(f"claim:C sh:{target} ; sh:property [ sh:path claim:id ; sh:minCount 1 ] .")) is None


def test_closed_shapes_name_every_field() -> None:
    """A closed shape that leaves out a field has no form: a document with that field breaks it."""
    closed = "claim:C sh:targetSubjectsOf claim:lines ; sh:closed true ; sh:property [ sh:path claim:id ]"
    assert form_of(FIELDS, shapes(f"{closed} .")) is None
    assert form_of(FIELDS, shapes(f"{closed} ; sh:ignoredProperties ( claim:lines claim:levels ) .")) is not None
