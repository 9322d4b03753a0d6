"""Criteria: what authors write once, and the two plain SHACL shapes that follow, met and refuted.

A criterion is met, not met, undocumented or conflicting. SHACL has two values, so each criterion has two
shapes, and the four combinations of conforming are the four statuses. Joins follow by duality; a leaf is one
of a closed list of kinds, each with the fixed expansion below. Both sides are derived when knowledge is
loaded and never written to a file; `coverpath shapes` prints them for any SHACL engine.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

import pyoxigraph as ox

from kg.errors import (
    CircularReferenceError,
    DanglingReferenceError,
    IncompleteCriterionError,
    KnowledgeError,
    UnsupportedShapeError,
    VacuousLeafError,
    nearest,
)
from kg.graph import Graph, parse
from kg.literal import value_of
from kg.path import Path, Step, branches, first_steps, goes_back, list_of, predicates, read_path, turtle, walked
from kg.shapes import Run, Shape, read_shapes
from kg.terms import ANATOMY, COV, OWL, RDFS, SH, TYPE, XSD, Blank, Literal, Term, Triple, local_name, written


@dataclass(frozen=True, eq=False, slots=True)
class Criterion:
    """What is asked of a line, or of something that a leaf's path reaches from it.

    `kind` is `and`, `or`, `not` or a kind of leaf; `parts` are the members of a join, or the inner criterion of an
    every or some leaf. `met` and `refuted` are the derived shapes of a leaf. A known leaf asks for `value`, or for
    any, and knows one by `known_by` where that is another path; the values of a number leaf conform to `within`.
    """

    iri: str
    kind: str
    label: str
    clause: str = ""
    quote: str = ""
    message: str = ""
    concept: str = ""
    region: str = ""
    field: str = ""
    parts: tuple["Criterion", ...] = ()
    path: Path | None = None
    met: Shape | None = None
    refuted: Shape | None = None
    value: Term | None = None
    known_by: Path | None = None
    within: Shape | None = None
    of_claim: bool = False

    @property
    def is_leaf(self) -> bool:
        """Say whether the criterion tests facts and joins no others."""
        return self.kind in LEAVES

    def leaves(self) -> Iterator["Criterion"]:
        """Yield the leaves at or below the criterion, in the order of the source."""
        waiting = [self]
        while waiting:
            criterion = waiting.pop()
            if criterion.is_leaf:
                yield criterion
            else:
                waiting.extend(reversed(criterion.parts))


JOINS = {SH + "and": "and", SH + "or": "or", SH + "not": "not"}

FACT_LEAF = """
<{iri}.met> a sh:NodeShape ; sh:property <{iri}.met.finding> .
<{iri}.met.finding> a sh:PropertyShape ; sh:path {findings} ;
    sh:qualifiedMinCount 1 ; sh:qualifiedValueShape <{iri}.present> .
<{iri}.present> a sh:NodeShape ; sh:property <{iri}.present.concept> , <{iri}.present.status>{in_region} .
<{iri}.present.concept> a sh:PropertyShape ; sh:hasValue <{concept}> ;
    sh:path ( [ sh:alternativePath ( rdf:type cov:concept ) ] [ sh:zeroOrMorePath rdfs:subClassOf ] ) .
<{iri}.present.status> a sh:PropertyShape ; sh:path cov:status ; sh:hasValue cov:Present .
<{iri}.refuted> a sh:NodeShape ; sh:property <{iri}.refuted.finding> .
<{iri}.refuted.finding> a sh:PropertyShape ; sh:path {findings} ;
    sh:qualifiedMinCount 1 ; sh:qualifiedValueShape <{iri}.absent> .
<{iri}.absent> a sh:NodeShape ; sh:property <{iri}.absent.concept> , <{iri}.absent.status>{around_region} .
<{iri}.absent.concept> a sh:PropertyShape ; sh:hasValue <{concept}> ;
    sh:path ( cov:concept [ sh:zeroOrMorePath [ sh:inversePath rdfs:subClassOf ] ] ) .
<{iri}.absent.status> a sh:PropertyShape ; sh:path cov:status ; sh:hasValue cov:Absent .
"""
IN_REGION = f"""
<{{iri}}.present.region> a sh:PropertyShape ; sh:hasValue <{{region}}> ;
    sh:path ( cov:region [ sh:zeroOrMorePath <{ANATOMY}partOf> ] ) .
<{{iri}}.absent.region> a sh:PropertyShape ; sh:hasValue <{{region}}> ;
    sh:path ( cov:region [ sh:zeroOrMorePath [ sh:inversePath <{ANATOMY}partOf> ] ] ) .
"""
KNOWN_LEAF = """
<{iri}.met> a sh:NodeShape ; sh:property <{iri}.met.value> .
<{iri}.met.value> a sh:PropertyShape ; sh:path {path} ; {value} .
<{iri}.refuted> a sh:NodeShape ; sh:property <{iri}.known> ; sh:not <{iri}.met> .
<{iri}.known> a sh:PropertyShape ; sh:path {known_by} ; sh:minCount 1 .
"""
EVERY_LEAF = """
<{iri}.met> a sh:NodeShape ; sh:property <{iri}.met.any> , <{iri}.met.every> .
<{iri}.met.any> a sh:PropertyShape ; sh:path {path} ; sh:minCount 1 .
<{iri}.met.every> a sh:PropertyShape ; sh:path {path} ; sh:node <{inner}.met> .
<{iri}.refuted> a sh:NodeShape ; sh:property <{iri}.refuted.some> .
<{iri}.refuted.some> a sh:PropertyShape ; sh:path {path} ;
    sh:qualifiedMinCount 1 ; sh:qualifiedValueShape <{inner}.refuted> .
"""
SOME_LEAF = """
<{iri}.met> a sh:NodeShape ; sh:property <{iri}.met.some> .
<{iri}.met.some> a sh:PropertyShape ; sh:path {path} ;
    sh:qualifiedMinCount 1 ; sh:qualifiedValueShape <{inner}.met> .
<{iri}.refuted> a sh:NodeShape ; sh:property <{iri}.refuted.any> , <{iri}.refuted.every> .
<{iri}.refuted.any> a sh:PropertyShape ; sh:path {path} ; sh:minCount 1 .
<{iri}.refuted.every> a sh:PropertyShape ; sh:path {path} ; sh:node <{inner}.refuted> .
"""
NUMBER_LEAF = """
<{iri}.met> a sh:NodeShape ; sh:property <{iri}.met.number> .
<{iri}.met.number> a sh:PropertyShape ; sh:path {path} ;
    sh:qualifiedMinCount 1 ; sh:qualifiedValueShape <{iri}.within> .
<{iri}.within> a sh:NodeShape ; {limits} .
<{iri}.refuted> a sh:NodeShape ; sh:property <{iri}.known> ; sh:not <{iri}.met> .
<{iri}.known> a sh:PropertyShape ; sh:path {path} ; sh:minCount 1 .
"""
JOIN = {
    "and": """
<{iri}.met> a sh:NodeShape ; sh:and ( {met} ) .
<{iri}.refuted> a sh:NodeShape ; sh:or ( {refuted} ) .
""",
    "or": """
<{iri}.met> a sh:NodeShape ; sh:or ( {met} ) .
<{iri}.refuted> a sh:NodeShape ; sh:and ( {refuted} ) .
""",
    "not": """
<{iri}.met> a sh:NodeShape ; sh:node {refuted} .
<{iri}.refuted> a sh:NodeShape ; sh:node {met} .
""",
}
PROBE = """
<{iri}.{side}.probe> a sh:NodeShape ; sh:targetClass cov:ClaimLine ; sh:node <{iri}.{side}> ; sh:severity sh:Info ;
    cov:criterion <{iri}> .
"""
PREFIXES = f"""@prefix cov: <{COV}> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <{RDFS}> .
@prefix sh: <{SH}> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
FINDINGS = "[ sh:alternativePath ( cov:finding ( cov:ofClaim cov:finding ) ) ]"
LIMITS = ("minInclusive", "minExclusive", "maxInclusive", "maxExclusive")


def _fact(graph: Graph, iri: str) -> str:
    concept, region = graph.iri(iri, COV + "asksFor"), graph.iri(iri, COV + "inRegion")
    if concept is None or (concept, TYPE, OWL_CLASS) not in graph:
        raise _incomplete(iri, "a fact leaf asks for a class of the ontology", "write `cov:asksFor condition:...`")
    if region is not None and not graph.objects(region, TYPE):
        raise DanglingReferenceError(local_name(iri), f"the region `{local_name(region)}` does not exist", "correct it")
    slots = {"iri": iri, "concept": concept, "findings": FINDINGS, "region": region or ""}
    slots["in_region"] = f" , <{iri}.present.region>" if region else ""
    slots["around_region"] = f" , <{iri}.absent.region>" if region else ""
    return (FACT_LEAF + (IN_REGION if region else "")).format_map(slots)


def _known(graph: Graph, iri: str) -> str:
    value, count = graph.value(iri, SH + "hasValue"), graph.value(iri, SH + "minCount")
    known_by, path = graph.value(iri, COV + "knownBy"), turtle(_path(graph, iri))
    if (value is None) == (count is None):
        problem = "a known leaf asks either for one value or for any"
        raise _incomplete(iri, problem, "write `sh:hasValue ...`, or `sh:minCount 1` for any")
    if count not in (None, Literal("1", XSD + "integer")):
        raise _unsupported(iri, "`sh:minCount` of a known leaf is 1", "write `sh:minCount 1`")
    if isinstance(value, Blank):
        raise _unsupported(iri, "`sh:hasValue` has a value without a name", "write an IRI or a literal")
    test = "sh:minCount 1" if value is None else f"sh:hasValue {_turtle(value)}"
    known = turtle(read_path(graph, known_by, local_name(iri))) if known_by is not None else path
    return KNOWN_LEAF.format(iri=iri, path=path, value=test, known_by=known)


def _over(template: str) -> Callable[[Graph, str], str]:
    def expand(graph: Graph, iri: str) -> str:
        inner = graph.iri(iri, SH + "node")
        if inner is None:
            raise _incomplete(iri, "the leaf says nothing of what its path reaches", "name a criterion by `sh:node`")
        return template.format(iri=iri, path=turtle(_path(graph, iri)), inner=inner)

    return expand


def _within(graph: Graph, iri: str) -> str:
    limits = [(name, value) for name in LIMITS if (value := graph.value(iri, SH + name)) is not None]
    if not limits:
        raise _incomplete(iri, "a number leaf has no limit", "write for example `sh:minInclusive 8`")
    for name, value in limits:
        if not (isinstance(value, Literal) and isinstance(value_of(value), Decimal | float)):
            raise _unsupported(iri, f"`sh:{name}` needs a literal that is a number", "write for example 8")
    written_limits = " ; ".join(f"sh:{name} {_turtle(value)}" for name, value in limits)
    return NUMBER_LEAF.format(iri=iri, path=turtle(_path(graph, iri)), limits=written_limits)


LEAVES: Mapping[str, Callable[[Graph, str], str]] = {
    "FactLeaf": _fact,
    "KnownLeaf": _known,
    "EveryLeaf": _over(EVERY_LEAF),
    "SomeLeaf": _over(SOME_LEAF),
    "NumberLeaf": _within,
}
OWL_CLASS = "http://www.w3.org/2002/07/owl#Class"
OURS = "https://w3id.org/coverpath/"
MAX_DEPTH = 100  # of criteria within criteria: more than any policy nests, and well within what Python recurses
_PATH = {SH + "path", COV + "field"}
_OWN_TERMS: Mapping[str, set[str]] = {  # those by which a criterion of each kind says what it asks
    "FactLeaf": {COV + "asksFor", COV + "inRegion"},
    "KnownLeaf": {*_PATH, SH + "hasValue", SH + "minCount", COV + "knownBy"},
    "EveryLeaf": {*_PATH, SH + "node"},
    "SomeLeaf": {*_PATH, SH + "node"},
    "NumberLeaf": {*_PATH, *(SH + name for name in LIMITS)},
    "and": {SH + "and", COV + "concerns"},
    "or": {SH + "or"},
    "not": {SH + "not"},
}
_ASKING = frozenset().union(*_OWN_TERMS.values())
_NAMING = {COV + "inRegion", COV + "concerns"}
_SINGLE = {
    *(RDFS + "label", SH + "message", *_ASKING),
    *(COV + name for name in ("clause", "effect", "order", "quote", "reason", "sourceStatus")),
    *(COV + name for name in ("evidenceClass", "holdsThat", "speaksOf", "strength")),
}


def read_criteria(graph: Graph, roots: Iterable[str]) -> dict[str, Criterion]:
    """Read the criteria trees below some roots, refusing what could not be judged rightly.

    Raises a KnowledgeError for a criterion that does not exist, refers to itself, lacks label or message, uses
    another term of SHACL, or is a leaf that would hold where nothing is known.
    """
    order = _in_order(graph, roots)
    derived = Graph(chain.from_iterable(_derive(graph, iri) for iri in order), below=graph)
    numbers = [iri + ".within" for iri in order if (iri, TYPE, COV + "NumberLeaf") in graph]
    shapes = read_shapes(derived, [*(iri + side for iri in order for side in (".met", ".refuted")), *numbers])
    criteria: dict[str, Criterion] = {}
    for iri in order:
        criteria[iri] = _criterion(graph, iri, criteria, shapes)
    links = links_of(graph)
    for criterion in criteria.values():
        _refuse_vacuous(criterion)
        _refuse_unreachable(graph, criterion)
        _refuse_unreadable(links, criterion)
    return criteria


def derived_shapes(criteria: Iterable[Criterion], graph: Graph) -> str:
    """Write both sides of criteria as Turtle, with probes on every service line, for any SHACL engine."""
    texts = [PREFIXES]
    for criterion in criteria:
        texts.append(_expand(graph, criterion.iri))
        texts.extend(PROBE.format(iri=criterion.iri, side=side) for side in ("met", "refuted"))
    return "".join(texts)


def parts_of(graph: Graph, iri: str) -> tuple[str, list[str]]:
    """Return the kind of a criterion and the criteria directly below it.

    A clause is the conjunction of what it concerns and what it asks; one that asks nothing more is what it concerns.
    """
    kinds = [kind for kind in LEAVES if (iri, TYPE, COV + kind) in graph]
    joins = [predicate for predicate in JOINS if graph.value(iri, predicate) is not None]
    concerns = graph.iri(iri, COV + "concerns")
    if len(kinds) + len(joins) > 1:
        raise _unsupported(
            iri, "a criterion either tests or joins, and joins in one way", "name a criterion of its own for the rest"
        )
    kind = next(chain(kinds, map(JOINS.__getitem__, joins)), "and" if concerns else "")
    _refuse_dropped(graph, iri, kind)
    if kinds:
        inner = graph.iri(iri, SH + "node")
        return kind, [inner] if inner else []
    if joins:
        head = graph.value(iri, joins[0]) or ""
        members = (head,) if joins[0] == SH + "not" else list_of(graph, head) or ()
        names = [member for member in members if isinstance(member, str)]
        if len(names) != len(members) or not names:
            raise IncompleteCriterionError(local_name(iri), "a join names criteria", "give each member an IRI")
        return kind, [concerns, *names] if concerns else names
    if concerns:
        return kind, [concerns]
    raise IncompleteCriterionError(
        local_name(iri), "the criterion neither tests nor joins", "give it a kind of leaf or a join"
    )


def _refuse_dropped(graph: Graph, iri: str, kind: str) -> None:
    """Refuse what an author wrote of a criterion and nothing would read."""
    own = _OWN_TERMS.get(kind, _ASKING)
    for term in graph.predicates(iri):
        values = set(graph.objects(iri, term))
        prefix, name = ("sh", term[len(SH) :]) if term.startswith(SH) else ("cov", term[len(COV) :])
        shown = f"`{prefix}:{name}`"
        if term in _ASKING and term not in own:
            beside = f"cov:{kind}" if kind in LEAVES else f"sh:{kind}"
            raise _unsupported(iri, f"{shown} has no meaning beside `{beside}`", "name a criterion of its own for it")
        if prefix == "sh" and term not in _SINGLE:
            known = sorted(t[len(SH) :] for t in _SINGLE if t.startswith(SH))
            raise _unsupported(iri, f"{shown} has no meaning in a criterion", nearest(name, known, "drop it"))
        if term.startswith(COV) and not graph.objects(term, TYPE):
            known = sorted(t[len(COV) :] for t in _SINGLE if t.startswith(COV))
            raise _unsupported(iri, f"{shown} is no term of the ontology", nearest(name, known, "drop it"))
        if term in _SINGLE and len(values) > 1:
            raise _unsupported(iri, f"{shown} has {len(values)} values, and one is read", "keep one")
        if term in _NAMING and not all(isinstance(value, str) for value in values):
            raise _incomplete(iri, f"{shown} names nothing", "write an IRI")


def _in_order(graph: Graph, roots: Iterable[str]) -> list[str]:
    """Return all criteria below the roots, parts before wholes."""
    done: dict[str, None] = {}

    def visit(iri: str, above: tuple[str, ...]) -> None:
        if iri in done:
            return
        if iri in above:
            circle = " -> ".join(map(local_name, (*above[above.index(iri) :], iri)))
            raise CircularReferenceError(
                local_name(iri), f"the criterion refers to itself: {circle}", "break the circle"
            )
        by = above[-1] if above else iri
        if not graph.predicates(iri):
            problem = f"`{local_name(by)}` names `{local_name(iri)}`, which" if above else f"`{local_name(iri)}`"
            raise DanglingReferenceError(
                local_name(by), f"{problem} does not exist", "correct the name or write the criterion"
            )
        if len(above) > MAX_DEPTH:
            raise KnowledgeError(
                local_name(above[0]), f"the criterion nests more than {MAX_DEPTH} deep", "join by fewer criteria"
            )
        for part in parts_of(graph, iri)[1]:
            visit(part, (*above, iri))
        done[iri] = None

    for root in roots:
        visit(root, ())
    return list(done)


def _expand(graph: Graph, iri: str) -> str:
    kind, parts = parts_of(graph, iri)
    if kind in LEAVES:
        return LEAVES[kind](graph, iri)
    return JOIN[kind].format(
        iri=iri,
        met=" ".join(f"<{part}.met>" for part in parts),
        refuted=" ".join(f"<{part}.refuted>" for part in parts),
    )


def _refuse_unreachable(graph: Graph, criterion: Criterion) -> None:
    """Refuse a leaf that nothing could meet, because a name is written wrongly or its limits exclude all."""
    for path in (criterion.path, criterion.known_by):
        for predicate in predicates(path) if path is not None else ():
            if predicate.startswith(OURS) and not graph.objects(predicate, TYPE):
                known = [local_name(p) for p in _properties(graph)]
                problem = f"`{local_name(predicate)}` on the path is no property of the ontology"
                raise DanglingReferenceError(
                    local_name(criterion.iri), problem, nearest(local_name(predicate), known, "correct it")
                )
    value = criterion.value
    if isinstance(value, str) and value.startswith(OURS) and not graph.predicates(value):
        problem = f"`sh:hasValue` names `{local_name(value)}`, which does not exist"
        raise DanglingReferenceError(local_name(criterion.iri), problem, "correct the name")
    limits = {name: value_of(v) for name in LIMITS if isinstance(v := graph.value(criterion.iri, SH + name), Literal)}
    for low in ("minInclusive", "minExclusive"):
        for high in ("maxInclusive", "maxExclusive"):
            least, most = limits.get(low), limits.get(high)
            if not isinstance(least, Decimal) or not isinstance(most, Decimal):
                continue
            if least > most or (least == most and (low, high) != ("minInclusive", "maxInclusive")):
                problem = f"no number is within `sh:{low}` and `sh:{high}`"
                raise _unsupported(criterion.iri, problem, "correct the limits")


def links_of(graph: Graph) -> frozenset[str]:
    """Return the properties that lead from one node of a claim to another."""
    return frozenset(str(p) for p in graph.subjects(COV + "staysInClaim", Literal("true", XSD + "boolean")))


def _refuse_unreadable(links: frozenset[str], criterion: Criterion) -> None:
    """Refuse a leaf whose path is not walked from node to node of the claim, and then on through the ontology.

    What it leads to there follows from the knowledge alone (`kg/plan.py`), so that it may not come back.
    """
    for path in (criterion.path, criterion.known_by):
        ways = [*branches(path)]
        for steps in ways:
            way = walked(steps, links)
            rest, stays = steps[len(way) :], bool(way) and way[-1].predicate in links
            if criterion.parts:
                readable = len(ways) == 1 and stays and not rest and not any(map(goes_back, way))
                problem = "the path does not lead forwards, and in one way, from node to node of the claim"
                help = "go along properties that stay in the claim; for several ways join leaves, by `sh:or` say"
            else:
                begins = bool(way) and isinstance(way[-1], Step)
                readable = begins and not (stays and rest) and not any(map(goes_back, rest))
                problem = "the path does not go along properties of the claim, and then forwards through the ontology"
                help = "begin with a property of `cov:ClaimLine`, and do not come back from the ontology"
            if not readable:
                raise _unsupported(criterion.iri, problem, help)


def _properties(graph: Graph) -> list[str]:
    kinds = (OWL + kind for kind in ("ObjectProperty", "DatatypeProperty", "AnnotationProperty"))
    return [p for kind in kinds for p in graph.subjects(TYPE, kind) if isinstance(p, str)]


def _derive(graph: Graph, iri: str) -> Iterator[Triple]:
    text = (PREFIXES + _expand(graph, iri)).encode()
    return parse(text, ox.RdfFormat.TURTLE, blank=f"{iri}-derived-")


def _criterion(graph: Graph, iri: str, known: Mapping[str, Criterion], shapes: Mapping[Term, Shape]) -> Criterion:
    kind, parts = parts_of(graph, iri)
    label, message = graph.text(iri, RDFS + "label"), graph.text(iri, SH + "message")
    if not label:
        raise _incomplete(iri, "the criterion has no label", "say in a few words what it asks: `rdfs:label ...`")
    if kind in LEAVES and not message:
        raise _incomplete(iri, "the leaf has no message", "say what the record lacks: `sh:message ...`")
    members = tuple(known[part] for part in parts)
    path = _path(graph, iri) if graph.value(iri, SH + "path") is not None else None
    known_by = graph.value(iri, COV + "knownBy")
    if kind in LEAVES:
        of_claim = path is not None and first_steps(path) == {COV + "ofClaim"}
    else:
        of_claim = all(member.of_claim for member in members)
    return Criterion(
        iri=iri,
        kind=kind,
        label=label,
        clause=graph.text(iri, COV + "clause") or "",
        quote=graph.text(iri, COV + "quote") or "",
        message=message or "",
        concept=graph.iri(iri, COV + "asksFor") or "",
        region=graph.iri(iri, COV + "inRegion") or "",
        field=graph.text(iri, COV + "field") or "",
        parts=members,
        path=path,
        met=shapes[iri + ".met"],
        refuted=shapes[iri + ".refuted"],
        value=graph.value(iri, SH + "hasValue"),
        known_by=read_path(graph, known_by, local_name(iri)) if known_by is not None else None,
        within=shapes.get(iri + ".within"),
        of_claim=of_claim,
    )


def _refuse_vacuous(criterion: Criterion) -> None:
    """Refuse a leaf that is decided where nothing at all is known."""
    if criterion.is_leaf:
        nothing = Run(Graph())
        for side, shape in (("met", criterion.met), ("refuted", criterion.refuted)):
            if shape and shape.holds(nothing, COV + "nothing"):
                raise VacuousLeafError(
                    local_name(criterion.iri),
                    f"the leaf is {side} where nothing is known",
                    "ask for a value along a path",
                )


def _path(graph: Graph, iri: str) -> Path:
    path = graph.value(iri, SH + "path")
    if path is None:
        raise _incomplete(iri, "the leaf has no path", "write `sh:path ( cov:... )`")
    return read_path(graph, path, local_name(iri))


def _turtle(term: Term) -> str:
    return f"<{term}>" if isinstance(term, str) else written(term)


def _unsupported(iri: str, problem: str, help: str) -> UnsupportedShapeError:
    return UnsupportedShapeError(local_name(iri), problem, help)


def _incomplete(iri: str, problem: str, help: str) -> IncompleteCriterionError:
    return IncompleteCriterionError(local_name(iri), problem, help)
