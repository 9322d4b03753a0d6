"""The W3C's tests of SHACL Core: what the evaluator supports it judges as they say, and the rest it refuses."""

from collections import Counter
from functools import cache
from typing import NamedTuple

import pytest
from pyoxigraph import RdfFormat

from kg.errors import UnsupportedShapeError
from kg.graph import Graph, parse
from kg.shapes import read_shapes, shape_names, validate
from kg.terms import SH, TYPE, Literal, Term
from tests.conftest import ROOT

CORE = ROOT / "tests" / "w3c" / "core"
SHT = "http://www.w3.org/ns/shacl-test#"
MF = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#"
BASE = "https://www.w3.org/"

REFUSED = {  # each with the words by which the message names what is not evaluated
    "node/disjoint-001": "`sh:disjoint`",
    "node/equals-001": "`sh:equals`",
    "node/languageIn-001": "`sh:languageIn`",
    "property/disjoint-001": "`sh:disjoint`",
    "property/equals-001": "`sh:equals`",
    "property/languageIn-001": "`sh:languageIn`",
    "property/lessThan-001": "`sh:lessThan`",
    "property/lessThan-002": "`sh:lessThan`",
    "property/lessThanOrEquals-001": "`sh:lessThanOrEquals`",
    "property/qualifiedMinCountDisjoint-001": "`sh:qualifiedValueShapesDisjoint`",
    "property/qualifiedValueShapesDisjoint-001": "`sh:qualifiedValueShapesDisjoint`",
    "property/uniqueLang-001": "`sh:uniqueLang`",
    "property/uniqueLang-002": "`sh:uniqueLang`",
}


class Case(NamedTuple):
    """One sht:Validate test: two graphs, and what a validator reports of them."""

    data: Graph
    shapes: Graph
    conforms: bool
    results: Counter[tuple[Term | None, Term | None, Term | None]]


@cache
def graph(name: str) -> Graph:
    """Read a file of the suite; its blank nodes carry its name."""
    data = (CORE / f"{name}.ttl").read_bytes()
    return Graph(parse(data, RdfFormat.TURTLE, blank=f"{name}-", base=f"{BASE}{name}.ttl"))


def entries(name: str) -> tuple[Term, ...]:
    return graph(name).subjects(TYPE, SHT + "Validate")


NAMES = [
    name for file in sorted(CORE.rglob("*.ttl")) if entries(name := file.relative_to(CORE).with_suffix("").as_posix())
]


def case(name: str) -> Case:
    """Read the one test of a file."""
    manifest = graph(name)
    (test,) = entries(name)
    action, report = manifest.value(test, MF + "action"), manifest.value(test, MF + "result")
    assert action is not None
    assert report is not None
    data, shapes = (manifest.iri(action, SHT + kind) for kind in ("dataGraph", "shapesGraph"))
    results = manifest.objects(report, SH + "result")
    return Case(
        data=named(data),
        shapes=named(shapes),
        conforms=manifest.text(report, SH + "conforms") == "true",
        results=Counter(
            (
                manifest.value(result, SH + "focusNode"),
                manifest.value(result, SH + "value"),
                manifest.value(result, SH + "sourceConstraintComponent"),
            )
            for result in results
        ),
    )


def named(iri: str | None) -> Graph:
    assert iri is not None
    return graph(iri.removeprefix(BASE).removesuffix(".ttl"))


def component(name: str) -> str:
    """Return the IRI of a constraint component by its parameter."""
    return f"{SH}{name[0].upper()}{name[1:]}ConstraintComponent"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFUSED])
def test_the_evaluator_reports_as_the_w3c_says(name: str) -> None:
    """Conformance and the results, by focus node, value and component, are those that the suite expects."""
    test = case(name)
    violations = validate(read_shapes(test.shapes, shape_names(test.shapes)).values(), test.data)
    assert (not violations) == test.conforms
    assert Counter((v.focus, v.value, component(v.constraint.component)) for v in violations) == test.results


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_by_name(name: str) -> None:
    """A shape with a component that the evaluator lacks is refused, and the message names the component."""
    shapes = case(name).shapes
    with pytest.raises(UnsupportedShapeError) as caught:
        read_shapes(shapes, shape_names(shapes))
    assert REFUSED[name] in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "flags", "text", "matches"),
    [
        ("^[0-9]{2}$", "", "21", True),
        ("^[0-9]{2}$", "", "21\n", False),
        ("^a$|^b$", "", "a\n", False),
        ("^a[$]$", "", "a$", True),
        ("^a[]$]$", "", "a]", True),
        (r"^a\$$", "", "a$", True),
        (r"^a\$", "", "a$b", True),
        (r"^a[\]$]$", "", "a$", True),
        ("^a$", "m", "a\nb", True),
        ("^A$", "i", "a", True),
    ],
)
def test_a_pattern_is_one_of_xpath(pattern: str, flags: str, text: str, matches: bool) -> None:
    """`$` stands for the very end, unless `sh:flags` makes it the end of a line."""
    name = "https://example.org/shape"
    words = {"pattern": pattern, **({"flags": flags} if flags else {})}
    shapes = Graph([(name, SH + "targetNode", Literal(text)), *((name, SH + k, Literal(v)) for k, v in words.items())])
    assert (not validate(read_shapes(shapes, [name]).values(), Graph())) is matches


@pytest.mark.parametrize(("pattern", "flags"), [("(", ""), ("a", "q")])
def test_a_pattern_that_cannot_be_read_is_refused(pattern: str, flags: str) -> None:
    """A mistake in a pattern, or a flag that is not known, stops the load."""
    name = "https://example.org/shape"
    shapes = Graph([(name, SH + "pattern", Literal(pattern)), (name, SH + "flags", Literal(flags))])
    with pytest.raises(UnsupportedShapeError):
        read_shapes(shapes, [name])


def test_the_whole_suite_runs() -> None:
    """All tests of SHACL Core are here, so that support cannot shrink unseen."""
    assert len(NAMES) == 98
    assert set(NAMES) > set(REFUSED)
