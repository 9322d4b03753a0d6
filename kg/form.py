"""The form of a claim document: what shapes ask of its fields, compiled so that one walk reads and checks it.

What the form reads is well-formed. Of any other document it says nothing: what is wrong with that, and what shapes
ask that only a graph can show, is for the validator.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kg.document import MAX_ITEMS, MAX_TEXT, Document, Field
from kg.graph import FIRST, REST
from kg.path import Path, Repeat, Sequence, Step
from kg.shapes import AllOf, AtLeast, AtMost, Closed, OfItself, Shape
from kg.terms import XSD, Literal

ITSELF: tuple[Path, ...] = ()
CELLS = (Repeat(Step(REST), 0),)
MEMBERS = (*CELLS, Step(FIRST))
Test = Callable[[str], object]


@dataclass(slots=True)
class Text:
    """A text or a whole number, with what is asked of its letters."""

    tests: tuple[Test, ...]
    is_whole: bool

    def read(self, value: Any) -> str | None:
        """Return the text of a value, if it is of the form."""
        if type(value) is str:
            text = value
        elif type(value) is int and self.is_whole:
            text = str(value)
        else:
            return None
        if len(text) > MAX_TEXT:
            return None
        for test in self.tests:
            if not test(text):
                return None
        return text


@dataclass(slots=True)
class Items:
    """A list with members of one form."""

    least: int
    most: int
    member: "Text | Form"

    def read(self, value: Any) -> list[Any] | None:
        """Return the members of a list, if it is of the form."""
        if type(value) is not list or not self.least <= len(value) <= self.most:
            return None
        members = [self.member.read(item) for item in value]
        return None if None in members else members


@dataclass(slots=True)
class Form:
    """An object with named fields, some of which it must have."""

    parts: dict[str, "Text | Items | Form"]
    required: set[str]

    def read(self, value: Any) -> Document | None:
        """Return an object with its fields in our order, if it is of the form."""
        if type(value) is not dict:
            return None
        found: Document = {}
        for name, part in self.parts.items():
            if name in value:
                found[name] = inner = part.read(value[name])
                if inner is None:
                    return None
            elif name in self.required:
                return None
        return found if len(found) == len(value) else None


class _Beyond(Exception):
    """A shape asks for more than a form can tell."""


@dataclass(slots=True)
class _Asked:
    """What shapes ask of one field."""

    is_required: bool = False
    least: int = 0
    tests: list[OfItself] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)


def form_of(fields: Mapping[str, Field], shapes: Iterable[Shape]) -> Form | None:
    """Compile shapes into the form of a document; None where they ask for more than a form can tell."""
    names = {field.iri for field in fields.values()}
    inner = {one.iri for field in fields.values() for one in _within(field)}
    asked: list[Shape] = []
    for shape in shapes:
        of_document = all(kind == "targetSubjectsOf" and target in names - inner for kind, target in shape.targets)
        if shape.path or not of_document:
            return None
        for constraint in () if shape.deactivated else shape.constraints:
            if isinstance(constraint, AllOf) and constraint.component == "property":
                asked += constraint.shapes
            elif not isinstance(constraint, Closed) or not names <= constraint.allowed:
                return None
    try:
        return _form(fields, asked)
    except _Beyond:
        return None


def _within(field: Field) -> Iterator[Field]:
    for inner in field.fields.values():
        yield inner
        yield from _within(inner)


def _form(fields: Mapping[str, Field], shapes: Iterable[Shape]) -> Form:
    asked = {field.iri: _Asked() for field in fields.values()}
    by_iri = {field.iri: field for field in fields.values()}
    for shape in shapes:
        first, *way = shape.path.parts if isinstance(shape.path, Sequence) else (shape.path,)
        if not isinstance(first, Step) or first.predicate not in asked:
            raise _Beyond
        if not shape.deactivated:
            _ask(asked[first.predicate], shape, by_iri[first.predicate], tuple(way))
    parts = {name: _part(name, field, asked[field.iri]) for name, field in fields.items()}
    return Form(parts, {name for name, field in fields.items() if asked[field.iri].is_required})


def _ask(asked: _Asked, shape: Shape, field: Field, way: tuple[Path | None, ...]) -> None:
    """Enter what a shape asks of a field; the way leads on from the value of the field to what it is asked of."""
    each = MEMBERS if field.is_list else ITSELF
    for constraint in shape.constraints:
        match constraint:
            case AtMost(count=count, shape=None) if count >= 1 and way == ITSELF:
                pass  # a field is given once
            case AtLeast(count=1, shape=None) if way == ITSELF:
                asked.is_required = True
            case AtLeast(count=count, shape=None) if way == MEMBERS and field.fields:
                asked.is_required, asked.least = True, max(count, asked.least)
            case OfItself() if way == each and not field.fields:
                asked.tests.append(constraint)
            case AllOf(component="property", shapes=inner) if way == each and field.fields:
                asked.shapes += inner
            case AllOf(component="property", shapes=inner) if way == CELLS and not field.fields:
                for one in inner:
                    tests = [test for test in one.constraints if isinstance(test, OfItself)]
                    if one.path != Step(FIRST) or len(tests) < len(one.constraints):
                        raise _Beyond
                    asked.tests += () if one.deactivated else tests
            case _:
                raise _Beyond


def _part(name: str, field: Field, asked: _Asked) -> Text | Items | Form:
    tests = (_test(constraint, field.datatype) for constraint in asked.tests)
    text = Text(tuple(test for test in tests if test), field.datatype == XSD + "integer")
    part = _form(field.fields, asked.shapes) if field.fields else text
    return Items(asked.least, MAX_ITEMS[name], part) if field.is_list else part


def _test(constraint: OfItself, datatype: str) -> Test | None:
    """Return what a constraint asks of the text of a literal; None where it asks nothing."""
    match constraint:
        case OfItself(component="datatype", parameter=asked) if asked == datatype == XSD + "string":
            return None
        case OfItself(component="in", parameter=tuple(allowed)):
            texts = (term.value for term in allowed if isinstance(term, Literal))
            return frozenset(text for text in texts if Literal(text, datatype) in allowed).__contains__
        case OfItself(of_text=None):
            return lambda text: constraint.test(Literal(text, datatype))
    return constraint.of_text
