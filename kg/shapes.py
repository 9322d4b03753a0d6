"""The part of SHACL Core that Coverpath evaluates: shapes as values that say why they hold and why they fail.

Each constraint answers for one focus node with *witnesses*: minimal sets of triples that make it hold, or
make it fail. No witness means that it does not; the empty witness means that nothing needs to be there.
The definition is that of neighbourhoods on negation normal form in "Data Provenance for SHACL" (Delva,
Dimou, Jakubowski, Van den Bussche, EDBT 2023), with alternatives kept apart so that each can be minimal.

Specification: https://www.w3.org/TR/shacl/, sections 2 to 4. A shape with any other term is refused.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from kg.errors import CircularReferenceError, DanglingReferenceError, UnsupportedShapeError, nearest
from kg.graph import FIRST, Graph
from kg.literal import compare, well_formed
from kg.path import BackStep, Path, Reached, Repeat, Sequence, Step, list_of, read_path
from kg.terms import RDFS, SH, TYPE, Blank, Literal, Term, Triple, local_name

Witness = tuple[Triple, ...]
Witnesses = tuple[Witness, ...]

NONE: Witnesses = ()
NOTHING_NEEDED: Witnesses = ((),)


@dataclass(frozen=True, slots=True)
class Run:
    """One evaluation: the graph, and what is already known of each shape at each node."""

    graph: Graph
    memo: dict[tuple[int, bool, Term], Witnesses] = field(default_factory=dict)


def both(*sides: Witnesses) -> Witnesses:
    """Return the witnesses that show all sides at once."""
    result = NOTHING_NEEDED
    for side in sides:
        if not side:
            return NONE
        if side != NOTHING_NEEDED:
            result = tuple(merge(a, b) for a in result for b in side) if result != NOTHING_NEEDED else side
    return minimal(result)


def either(sides: Iterable[Witnesses]) -> Witnesses:
    """Return the witnesses that show at least one side."""
    return minimal(tuple(witness for side in sides for witness in side))


def merge(left: Witness, right: Witness) -> Witness:
    """Join two witnesses into one, in order, each triple once."""
    return tuple(dict.fromkeys(left + right)) if left and right else left or right


def minimal(witnesses: Witnesses) -> Witnesses:
    """Drop each witness that contains another."""
    if len(witnesses) < 2:
        return witnesses
    sets = [frozenset(witness) for witness in witnesses]
    return tuple(
        witness
        for i, witness in enumerate(witnesses)
        if not any(other < sets[i] or (other == sets[i] and j < i) for j, other in enumerate(sets))
    )


class Shape:
    """A node or property shape."""

    __slots__ = ("constraints", "deactivated", "message", "name", "path", "targets")

    def __init__(self, name: Term, path: Path | None, message: str, deactivated: bool) -> None:
        self.name = name
        self.path = path
        self.message = message
        self.deactivated = deactivated
        self.constraints: tuple[Constraint, ...] = ()
        self.targets: tuple[tuple[str, Term], ...] = ()

    def values(self, run: Run, focus: Term) -> Reached:
        """Return the value nodes of a focus node, each with the way to it."""
        return {focus: ()} if self.path is None else self.path.reach(run.graph, focus)

    def holds(self, run: Run, focus: Term) -> Witnesses:
        """Return why the focus node conforms to the shape; nothing if it does not."""
        key = (id(self), True, focus)
        if key not in run.memo:
            run.memo[key] = self._holds(run, focus)
        return run.memo[key]

    def fails(self, run: Run, focus: Term) -> Witnesses:
        """Return why the focus node does not conform to the shape; nothing if it does."""
        key = (id(self), False, focus)
        if key not in run.memo:
            run.memo[key] = self._fails(run, focus)
        return run.memo[key]

    def _holds(self, run: Run, focus: Term) -> Witnesses:
        if self.deactivated:
            return NOTHING_NEEDED
        values = self.values(run, focus)
        result = NOTHING_NEEDED
        for constraint in self.constraints:
            result = both(result, constraint.holds(run, focus, values))
            if not result:
                return NONE
        return result

    def _fails(self, run: Run, focus: Term) -> Witnesses:
        if self.deactivated:
            return NONE
        values = self.values(run, focus)
        return either(constraint.fails(run, focus, values) for constraint in self.constraints)


@dataclass(frozen=True, slots=True)
class Constraint(ABC):
    """One constraint component with its parameter; subclasses say when it holds."""

    component: str

    @abstractmethod
    def holds(self, run: Run, focus: Term, values: Reached) -> Witnesses:
        """Return why the constraint holds for all the value nodes."""

    @abstractmethod
    def fails(self, run: Run, focus: Term, values: Reached) -> Witnesses:
        """Return why the constraint fails."""

    def offenders(self, run: Run, focus: Term, values: Reached) -> Iterator[Term | None]:
        """Yield the value nodes to report, or None where no single one is to blame."""
        if self.fails(run, focus, values):
            yield None


class OfEach(Constraint):
    """A constraint on every value node by itself."""

    __slots__ = ()

    @abstractmethod
    def yes(self, run: Run, value: Term) -> Witnesses:
        """Return why one value is as asked."""

    @abstractmethod
    def no(self, run: Run, value: Term) -> Witnesses:
        """Return why one value is not as asked."""

    def holds(self, run: Run, focus: Term, values: Reached) -> Witnesses:
        return both(*(self.yes(run, value) for value in values))

    def fails(self, run: Run, focus: Term, values: Reached) -> Witnesses:
        return either(both((trace,), self.no(run, value)) for value, trace in values.items())

    def offenders(self, run: Run, focus: Term, values: Reached) -> Iterator[Term | None]:
        return (value for value in values if self.no(run, value))


@dataclass(frozen=True, slots=True)
class OfItself(OfEach):
    """A constraint that looks at the value alone, such as `sh:datatype`."""

    test: Callable[[Term], bool]
    parameter: Term | tuple[Term, ...] = ""
    of_text: Callable[[str], object] | None = None  # the same test, of the text of a literal

    def yes(self, run: Run, value: Term) -> Witnesses:
        return NOTHING_NEEDED if self.test(value) else NONE

    def no(self, run: Run, value: Term) -> Witnesses:
        return NONE if self.test(value) else NOTHING_NEEDED


@dataclass(frozen=True, slots=True)
class AllOf(OfEach):
    """`sh:and`, `sh:node` and `sh:property`: every value conforms to all the shapes."""

    shapes: tuple[Shape, ...]

    def yes(self, run: Run, value: Term) -> Witnesses:
        return both(*(shape.holds(run, value) for shape in self.shapes))

    def no(self, run: Run, value: Term) -> Witnesses:
        return either(shape.fails(run, value) for shape in self.shapes)


@dataclass(frozen=True, slots=True)
class AnyOf(OfEach):
    """`sh:or`: every value conforms to at least one of the shapes."""

    shapes: tuple[Shape, ...]

    def yes(self, run: Run, value: Term) -> Witnesses:
        return either(shape.holds(run, value) for shape in self.shapes)

    def no(self, run: Run, value: Term) -> Witnesses:
        return both(*(shape.fails(run, value) for shape in self.shapes))


@dataclass(frozen=True, slots=True)
class NotOf(OfEach):
    """`sh:not`: no value conforms to the shape."""

    shape: Shape

    def yes(self, run: Run, value: Term) -> Witnesses:
        return self.shape.fails(run, value)

    def no(self, run: Run, value: Term) -> Witnesses:
        return self.shape.holds(run, value)


@dataclass(frozen=True, slots=True)
class OneOf(OfEach):
    """`sh:xone`: every value conforms to exactly one of the shapes."""

    shapes: tuple[Shape, ...]

    def yes(self, run: Run, value: Term) -> Witnesses:
        n = range(len(self.shapes))
        return either(
            both(*(s.holds(run, value) if i == k else s.fails(run, value) for i, s in enumerate(self.shapes)))
            for k in n
        )

    def no(self, run: Run, value: Term) -> Witnesses:
        none = both(*(shape.fails(run, value) for shape in self.shapes))
        two = (both(a.holds(run, value), b.holds(run, value)) for a, b in combinations(self.shapes, 2))
        return either((none, *two))


@dataclass(frozen=True, slots=True)
class OfClass(OfEach):
    """`sh:class`: every value is an instance of the class or of one below it."""

    cls: Term

    def yes(self, run: Run, value: Term) -> Witnesses:
        trace = INSTANCE_OF.reach(run.graph, value).get(self.cls)
        return NONE if trace is None else (trace,)

    def no(self, run: Run, value: Term) -> Witnesses:
        return NONE if self.yes(run, value) else NOTHING_NEEDED


@dataclass(frozen=True, slots=True)
class HasValue(Constraint):
    """`sh:hasValue`: the value is among the value nodes."""

    value: Term

    def holds(self, run: Run, focus: Term, values: Reached) -> Witnesses:
        return (values[self.value],) if self.value in values else NONE

    def fails(self, run: Run, focus: Term, values: Reached) -> Witnesses:
        return NONE if self.value in values else NOTHING_NEEDED


@dataclass(frozen=True, slots=True)
class AtLeast(Constraint):
    """`sh:minCount` and `sh:qualifiedMinCount`: so many values conform to the shape, or are there at all."""

    count: int
    shape: Shape | None = None

    def holds(self, run: Run, focus: Term, values: Reached) -> Witnesses:
        return _so_many(self.count, run, values, self.shape)

    def fails(self, run: Run, focus: Term, values: Reached) -> Witnesses:
        return NONE if _count(run, values, self.shape) >= self.count else NOTHING_NEEDED


@dataclass(frozen=True, slots=True)
class AtMost(Constraint):
    """`sh:maxCount` and `sh:qualifiedMaxCount`: no more values than so many."""

    count: int
    shape: Shape | None = None

    def holds(self, run: Run, focus: Term, values: Reached) -> Witnesses:
        return NOTHING_NEEDED if _count(run, values, self.shape) <= self.count else NONE

    def fails(self, run: Run, focus: Term, values: Reached) -> Witnesses:
        return _so_many(self.count + 1, run, values, self.shape)

    def offenders(self, run: Run, focus: Term, values: Reached) -> Iterator[Term | None]:
        if not self.holds(run, focus, values):
            yield None


def _count(run: Run, values: Reached, shape: Shape | None) -> int:
    return len(values) if shape is None else sum(1 for value in values if shape.holds(run, value))


def _so_many(count: int, run: Run, values: Reached, shape: Shape | None) -> Witnesses:
    if len(values) < count:
        return NONE
    each = [both((trace,), shape.holds(run, value)) if shape else (trace,) for value, trace in values.items()]
    met = [witnesses for witnesses in each if witnesses]
    return either(both(*chosen) for chosen in combinations(met, count))


@dataclass(frozen=True, slots=True)
class Closed(Constraint):
    """`sh:closed`: the focus node has no other properties than those allowed."""

    allowed: frozenset[str]

    def strangers(self, run: Run, node: Term) -> list[Triple]:
        """Return the triples that the node may not have."""
        return [
            (node, p, o)
            for p in run.graph.predicates(node)
            if p not in self.allowed
            for o in run.graph.objects(node, p)
        ]

    def holds(self, run: Run, focus: Term, values: Reached) -> Witnesses:
        return NONE if any(self.strangers(run, value) for value in values) else NOTHING_NEEDED

    def fails(self, run: Run, focus: Term, values: Reached) -> Witnesses:
        return tuple((*trace, triple) for value, trace in values.items() for triple in self.strangers(run, value))

    def offenders(self, run: Run, focus: Term, values: Reached) -> Iterator[Term | None]:
        return (triple[2] for value in values for triple in self.strangers(run, value))


class Violation(NamedTuple):
    """One constraint that a focus node breaks."""

    focus: Term
    shape: Shape
    constraint: Constraint
    value: Term | None


_SUBCLASS = RDFS + "subClassOf"
INSTANCE_OF = Sequence((Step(TYPE), Repeat(Step(_SUBCLASS), 0)))
INSTANCES = Sequence((Repeat(BackStep(_SUBCLASS), 0), BackStep(TYPE)))


def validate(shapes: Iterable[Shape], graph: Graph) -> list[Violation]:
    """Check a graph against the targets of shapes; report as SHACL section 3.6 does, one result a broken constraint."""
    run = Run(graph)
    return [v for shape in shapes for focus in focus_nodes(shape, graph) for v in _violations(run, shape, focus)]


def _violations(run: Run, shape: Shape, focus: Term) -> Iterator[Violation]:
    if shape.deactivated:
        return
    values: Reached = {focus: ()}
    if shape.path is not None:
        values = dict.fromkeys(shape.path.values(run.graph, focus), ())  # a violation needs no witness
    for constraint in shape.constraints:
        if constraint.component == "property" and isinstance(constraint, AllOf):
            for value in values:
                for inner in constraint.shapes:
                    yield from _violations(run, inner, value)
        else:
            for offender in constraint.offenders(run, focus, values):
                yield Violation(focus, shape, constraint, offender)


def focus_nodes(shape: Shape, graph: Graph) -> Iterator[Term]:
    """Yield the focus nodes that the targets of a shape select, each once."""
    found: dict[Term, None] = {}
    for kind, target in shape.targets:
        if kind == "targetNode":
            found[target] = None
        elif kind == "targetClass":
            found.update(dict.fromkeys(INSTANCES.values(graph, target)))
        elif kind == "targetSubjectsOf" and isinstance(target, str):
            found.update(dict.fromkeys(s for s, p, _ in graph if p == target))
        elif kind == "targetObjectsOf" and isinstance(target, str):
            found.update(dict.fromkeys(o for _, p, o in graph if p == target))
    yield from found


def read_shapes(graph: Graph, names: Iterable[Term]) -> dict[Term, Shape]:
    """Read the named shapes and all that they refer to.

    Raises a KnowledgeError for a shape that does not exist, refers to itself, or uses another term of SHACL.
    """
    reader = _Reader(graph)
    return {name: reader.shape(name) for name in names}


def shape_names(graph: Graph) -> list[Term]:
    """Return the shapes of a graph that have a target."""
    named = {s: None for s, p, _ in graph if p in _TARGETS}
    implicit = {
        s: None
        for kind in ("NodeShape", "PropertyShape")
        for s in graph.subjects(TYPE, SH + kind)
        if RDFS + "Class" in graph.objects(s, TYPE)
    }
    return list(named | implicit)


def refuse_idle(graph: Graph) -> None:
    """Refuse a shape that neither a target nor another shape leads to: it would check nothing, and nobody is told."""
    used = {o for _, p, o in graph if p in _TARGETS or p.startswith(SH) or p == FIRST}
    targets = set(shape_names(graph))
    for kind in ("NodeShape", "PropertyShape"):
        for name in graph.subjects(TYPE, SH + kind):
            if name not in targets and name not in used:
                strange = [p for p in graph.predicates(name) if p.startswith(SH + "target")]
                known, help = [t[len(SH) :] for t in _TARGETS], "give it a target"
                help = nearest(local_name(strange[0]), known, help) if strange else help
                raise DanglingReferenceError(_label(name), "nothing leads to the shape", help)


_TARGETS = {SH + kind: kind for kind in ("targetNode", "targetClass", "targetSubjectsOf", "targetObjectsOf")}
_SILENT = {
    SH + name
    for name in (
        *("path", "message", "name", "description", "order", "group", "severity", "defaultValue", "deactivated"),
        *("flags", "ignoredProperties", "qualifiedValueShape", "qualifiedValueShapesDisjoint"),
    )
} | set(_TARGETS)
_NODE_KINDS: dict[Term, tuple[type, ...]] = {
    SH + "IRI": (str,),
    SH + "Literal": (Literal,),
    SH + "BlankNode": (Blank,),
    SH + "BlankNodeOrIRI": (str, Blank),
    SH + "BlankNodeOrLiteral": (Blank, Literal),
    SH + "IRIOrLiteral": (str, Literal),
}


class _Reader:
    """Reads shapes of one graph, each once."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.known: dict[Term, Shape] = {}
        self.open: list[Term] = []

    def shape(self, name: Term) -> Shape:
        if name in self.known:
            return self.known[name]
        if name in self.open:
            circle = " -> ".join(map(_label, [*self.open[self.open.index(name) :], name]))
            raise CircularReferenceError(_label(name), f"the shape refers to itself: {circle}", "break the circle")
        if not self.graph.predicates(name):
            by = f" that `{_label(self.open[-1])}` names" if self.open else ""
            raise DanglingReferenceError(
                _label(name), f"the shape{by} does not exist", "correct the name or write the shape"
            )
        self.open.append(name)
        path = self.graph.value(name, SH + "path")
        deactivated = self.graph.value(name, SH + "deactivated")
        shape = Shape(
            name,
            None if path is None else read_path(self.graph, path, _label(name)),
            self.graph.text(name, SH + "message") or "",
            isinstance(deactivated, Literal) and deactivated.value in ("true", "1"),
        )
        shape.targets = tuple(self.targets(name))
        shape.constraints = tuple(self.constraints(name, shape.path is not None))
        self.open.pop()
        self.known[name] = shape
        return shape

    def targets(self, name: Term) -> Iterator[tuple[str, Term]]:
        for predicate, kind in _TARGETS.items():
            yield from ((kind, target) for target in self.graph.objects(name, predicate))
        if RDFS + "Class" in self.graph.objects(name, TYPE):
            yield "targetClass", name

    def constraints(self, name: Term, has_path: bool) -> Iterator[Constraint]:
        for predicate in self.graph.predicates(name):
            if not predicate.startswith(SH) or predicate in _SILENT:
                continue
            component = predicate[len(SH) :]
            build = _COMPONENTS.get(component)
            if build is None:
                raise UnsupportedShapeError(
                    _label(name), f"`sh:{component}` is not a term that Coverpath evaluates", _supported(component)
                )
            if component in ("minCount", "maxCount") and not has_path:
                raise UnsupportedShapeError(_label(name), f"`sh:{component}` needs a `sh:path`", "add the path")
            for parameter in self.graph.objects(name, predicate):
                constraint = build(self, name, component, parameter)
                if constraint is not None:
                    yield constraint

    def members(self, name: Term, component: str, head: Term) -> tuple[Term, ...]:
        members = list_of(self.graph, head)
        if members is None:
            raise UnsupportedShapeError(_label(name), f"`sh:{component}` needs a list", "write ( :one :other )")
        return members

    def shapes(self, name: Term, component: str, head: Term) -> tuple[Shape, ...]:
        return tuple(map(self.shape, self.members(name, component, head)))

    def words(self, name: Term, predicate: str) -> str:
        return self.graph.text(name, SH + predicate) or ""


def _label(name: Term) -> str:
    return f"_:{name.label}" if isinstance(name, Blank) else local_name(str(name))


def _supported(component: str) -> str:
    return nearest(component, _COMPONENTS, "write it with the components that kg/shapes.py lists, or as a derived fact")


def _number(name: Term, component: str, term: Term) -> int:
    if isinstance(term, Literal) and term.value.isdecimal():
        return int(term.value)
    raise UnsupportedShapeError(_label(name), f"`sh:{component}` needs a whole number", "write it without quotes")


def _limit(ok: Callable[[int], bool]) -> "_Build":
    def build(reader: _Reader, name: Term, component: str, bound: Term) -> Constraint:
        if not isinstance(bound, Literal):
            raise UnsupportedShapeError(_label(name), f"`sh:{component}` needs a literal", "write a number or a date")

        def test(value: Term) -> bool:
            order = compare(value, bound) if isinstance(value, Literal) else None
            return order is not None and ok(order)

        return OfItself(component, test, bound)

    return build


def _length(ok: Callable[[int, int], bool]) -> "_Build":
    def build(reader: _Reader, name: Term, component: str, bound: Term) -> Constraint:
        n = _number(name, component, bound)

        def of_text(text: str) -> bool:
            return ok(len(text), n)

        return OfItself(component, lambda v: not isinstance(v, Blank) and of_text(_text(v)), bound, of_text)

    return build


def _text(term: Term) -> str:
    return term if isinstance(term, str) else term.value if isinstance(term, Literal) else term.label


_FLAGS = {"i": re.I, "s": re.S, "m": re.M, "x": re.X}
_CLASS_OR_END = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*+\]|\$", re.S)


def _pattern(reader: _Reader, name: Term, component: str, source: Term) -> Constraint:
    """Compile an XPath pattern: `$` is the very end, where Python's is before a last line feed too.

    https://www.w3.org/TR/xpath-functions/#regex-syntax
    """
    letters, written = reader.words(name, "flags"), _text(source)
    if strange := set(letters) - set(_FLAGS):
        raise UnsupportedShapeError(_label(name), f"`sh:flags` holds `{min(strange)}`", f"use {', '.join(_FLAGS)}")
    if "m" not in letters:
        written = _CLASS_OR_END.sub(lambda found: r"\Z" if found[0] == "$" else found[0], written)
    try:
        regex = re.compile(written, sum(_FLAGS[letter] for letter in set(letters)))
    except re.error as error:
        raise UnsupportedShapeError(_label(name), f"`sh:pattern` is no pattern: {error}", "correct it") from None
    of_text = regex.search
    return OfItself(component, lambda v: not isinstance(v, Blank) and of_text(_text(v)) is not None, source, of_text)


def _datatype(reader: _Reader, name: Term, component: str, datatype: Term) -> Constraint:
    return OfItself(component, lambda v: isinstance(v, Literal) and v.datatype == datatype and well_formed(v), datatype)


def _node_kind(reader: _Reader, name: Term, component: str, kind: Term) -> Constraint:
    if kind not in _NODE_KINDS:
        raise UnsupportedShapeError(_label(name), "`sh:nodeKind` names no kind of node", "write for example sh:IRI")
    return OfItself(component, lambda v: isinstance(v, _NODE_KINDS[kind]), kind)


def _in(reader: _Reader, name: Term, component: str, head: Term) -> Constraint:
    allowed = reader.members(name, component, head)
    return OfItself(component, frozenset(allowed).__contains__, allowed)


def _qualified(counts: type[AtLeast] | type[AtMost]) -> "_Build":
    def build(reader: _Reader, name: Term, component: str, count: Term) -> Constraint | None:
        shapes = reader.graph.objects(name, SH + "qualifiedValueShape")
        if not shapes:
            return None
        if reader.words(name, "qualifiedValueShapesDisjoint") in ("true", "1"):
            raise UnsupportedShapeError(_label(name), "`sh:qualifiedValueShapesDisjoint` is not evaluated", "drop it")
        if len(shapes) > 1:
            raise UnsupportedShapeError(_label(name), "a count has several qualified shapes", "write a shape for each")
        return counts(component, _number(name, component, count), reader.shape(shapes[0]))

    return build


def _closed(reader: _Reader, name: Term, component: str, flag: Term) -> Constraint | None:
    if not (isinstance(flag, Literal) and flag.value in ("true", "1")):
        return None
    paths = (reader.graph.value(p, SH + "path") for p in reader.graph.objects(name, SH + "property"))
    ignored = reader.graph.value(name, SH + "ignoredProperties")
    names = [*paths, *(reader.members(name, "ignoredProperties", ignored) if ignored else ())]
    return Closed(component, frozenset(p for p in names if isinstance(p, str)))


_Build = Callable[[_Reader, Term, str, Term], Constraint | None]
_COMPONENTS: dict[str, _Build] = {
    "and": lambda r, n, c, head: AllOf(c, r.shapes(n, c, head)),
    "or": lambda r, n, c, head: AnyOf(c, r.shapes(n, c, head)),
    "xone": lambda r, n, c, head: OneOf(c, r.shapes(n, c, head)),
    "not": lambda r, n, c, inner: NotOf(c, r.shape(inner)),
    "node": lambda r, n, c, inner: AllOf(c, (r.shape(inner),)),
    "property": lambda r, n, c, inner: AllOf(c, (r.shape(inner),)),
    "class": lambda r, n, c, cls: OfClass(c, cls),
    "hasValue": lambda r, n, c, value: HasValue(c, value),
    "minCount": lambda r, n, c, count: AtLeast(c, _number(n, c, count)),
    "maxCount": lambda r, n, c, count: AtMost(c, _number(n, c, count)),
    "qualifiedMinCount": _qualified(AtLeast),
    "qualifiedMaxCount": _qualified(AtMost),
    "minInclusive": _limit(lambda order: order >= 0),
    "maxInclusive": _limit(lambda order: order <= 0),
    "minExclusive": _limit(lambda order: order > 0),
    "maxExclusive": _limit(lambda order: order < 0),
    "minLength": _length(int.__ge__),
    "maxLength": _length(int.__le__),
    "pattern": _pattern,
    "datatype": _datatype,
    "nodeKind": _node_kind,
    "in": _in,
    "closed": _closed,
}
