"""Replay of the reading: criteria from the shapes graph, their statuses on the facts, and every witness of each.

For `kg.verify` alone. A path is walked naively from triple to triple, and each value that it reaches is kept with
all the sets of triples by which it does; so the witnesses of a leaf are not searched for but counted out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import chain

from kg.graph import FIRST, NIL, REST, Graph
from kg.replay_rules import ALREADY, Derivations, Support, Supports, minimal, together
from kg.terms import ANATOMY, COV, RDFS, SH, TYPE, Literal, Term, Triple

LEAVES = ("FactLeaf", "KnownLeaf", "EveryLeaf", "SomeLeaf", "NumberLeaf")
LIMITS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "minInclusive": lambda number, limit: number >= limit,
    "minExclusive": lambda number, limit: number > limit,
    "maxInclusive": lambda number, limit: number <= limit,
    "maxExclusive": lambda number, limit: number < limit,
}
Bits = tuple[bool, bool]  # met, refuted
Ways = dict[Term, Supports]


@dataclass(frozen=True, slots=True)
class Criterion:
    """A criterion as the shapes graph writes it: a leaf, or a join of others; or one of the groups of a line."""

    iri: str
    kind: str
    label: str
    clause: str
    quote: str
    parts: tuple["Criterion", ...] = ()

    @property
    def is_leaf(self) -> bool:
        return self.kind in LEAVES

    def leaves(self) -> Iterator["Criterion"]:
        """Yield the leaves at or below the criterion, in the order of the source."""
        if self.is_leaf:
            yield self
        else:
            for part in self.parts:
                yield from part.leaves()


def members(graph: Graph, head: Term) -> list[Term]:
    """Return the members of an RDF list."""
    found = []
    while head != NIL:
        found.append(graph.objects(head, FIRST)[0])
        head = graph.objects(head, REST)[0]
    return found


def read_criterion(graph: Graph, iri: Term) -> Criterion:
    """Read a criterion and all below it; a clause joins what it concerns and what it asks."""
    iri = str(iri)
    label, clause, quote = (graph.text(iri, name) or "" for name in (RDFS + "label", COV + "clause", COV + "quote"))
    kind = next((kind for kind in LEAVES if (iri, TYPE, COV + kind) in graph), "")
    parts: list[Term] = list(graph.objects(iri, COV + "concerns"))
    if kind:
        parts = [part for part in graph.objects(iri, SH + "node") if isinstance(part, str)]
    for join in ("and", "or"):
        for head in graph.objects(iri, SH + join):
            kind, parts = join, [*parts, *members(graph, head)]
    for part in graph.objects(iri, SH + "not"):
        kind, parts = "not", [part]
    return Criterion(iri, kind or "and", label, clause, quote, tuple(read_criterion(graph, part) for part in parts))


def joined(kind: str, bits: list[Bits]) -> Bits:
    """Return what a join comes to: the truth tables of Belnap's four values.

    `none` holds where no part does; `unless` where the first part does and none of the others.
    """
    met, refuted = [one[0] for one in bits], [one[1] for one in bits]
    match kind:
        case "and":
            return all(met), any(refuted)
        case "or":
            return any(met), all(refuted)
        case "not":
            return refuted[0], met[0]
        case "none":
            return all(refuted), any(met)
        case "unless":
            return met[0] and all(refuted[1:]), refuted[0] or any(met[1:])
    raise ValueError(kind)


def status(bits: Bits) -> str:
    """Return how the contract calls a status."""
    met, refuted = bits
    return ("conflicting" if refuted else "met") if met else "not-met" if refuted else "undocumented"


class Reading:
    """The facts of a claim with what follows from them, over the knowledge, as criteria read them."""

    def __init__(self, claim: str, facts: Iterable[Triple], derived: Derivations, know: Graph, kept: "Kept") -> None:
        self.claim, self.derived, self.knowledge, self.kept = claim, derived, know, kept
        self.facts = tuple(facts)
        self.graph = Graph(chain(self.facts, derived), below=know)
        self._bits: dict[tuple[str, Term], Bits] = {}
        self._sides: dict[tuple[str, Term, bool], Supports] = {}
        self._walked: dict[tuple[Term, Term], Ways] = {}
        self._expanded: dict[Support, Supports] = {}

    def decided(self, decisions: Mapping[str, str]) -> "Reading":
        """Return the reading with the decisions of base lines."""
        settled = {"approve": "approve", "deny": "deny", "not-billable": "notBillable"}
        said = [(base, COV + "decision", COV + settled[d]) for base, d in decisions.items() if d in settled]
        return Reading(self.claim, (*self.facts, *said), self.derived, self.knowledge, self.kept) if said else self

    # Paths

    def walk(self, path: Term, start: Term) -> Ways:
        """Return the values that a path of the shapes graph leads to, each with all the minimal ways there."""
        of_claim = not isinstance(start, str) or start.startswith(self.claim)
        walked = self._walked if of_claim else self.kept
        key = (path, start)
        if key not in walked:
            walked[key] = self._walk(path, start)
        return walked[key]

    def _walk(self, path: Term, start: Term) -> Ways:
        shapes = self.knowledge
        if isinstance(path, str) and path != NIL:
            return {o: (frozenset({(start, path, o)}),) for o in self.graph.objects(start, path)}
        if shapes.objects(path, FIRST):
            steps = members(shapes, path)
            reached: Ways = {start: ALREADY}
            for step in steps:
                reached = self._further(step, reached)
            return reached
        (form,) = shapes.predicates(path)
        (inner,) = shapes.objects(path, form)
        match form.removeprefix(SH):
            case "inversePath" if isinstance(inner, str):
                return {s: (frozenset({(s, inner, start)}),) for s in self.graph.subjects(inner, start)}
            case "alternativePath":
                return _either(self.walk(part, start) for part in members(shapes, inner))
            case "zeroOrOnePath":
                return _either(({start: ALREADY}, self.walk(inner, start)))
            case "zeroOrMorePath":
                return self._closure(inner, {start: ALREADY})
            case "oneOrMorePath":
                return self._closure(inner, self.walk(inner, start))
        raise ValueError(form)

    def _further(self, step: Term, reached: Ways) -> Ways:
        return _either(
            {end: together(ways, more) for end, more in self.walk(step, middle).items()}
            for middle, ways in reached.items()
        )

    def _closure(self, step: Term, reached: Ways) -> Ways:
        """Walk on until nothing new is reached, and nothing in a new way."""
        while _sets(further := _either((reached, self._further(step, reached)))) != _sets(reached):
            reached = further
        return reached

    # Leaves

    def bits(self, criterion: Criterion, focus: Term) -> Bits:
        """Return whether a criterion is met at a node, and whether it is refuted."""
        key = (criterion.iri, focus)
        if not criterion.is_leaf:
            return joined(criterion.kind, [self.bits(part, focus) for part in criterion.parts])
        if key not in self._bits:
            self._bits[key] = (
                bool(self.witnesses(criterion, focus, True)),
                bool(self.witnesses(criterion, focus, False)),
            )
        return self._bits[key]

    def witnesses(self, criterion: Criterion, focus: Term, positive: bool) -> Supports:
        """Return the minimal sets of triples, derived ones included, by which a side of a criterion holds.

        Of a closed side the witness shows that something is known; that nothing of it is what was asked for is read
        from the whole graph.
        """
        key = (criterion.iri, focus, positive)
        if key not in self._sides:
            by_kind = {
                "FactLeaf": self._fact,
                "KnownLeaf": self._known,
                "EveryLeaf": self._others,
                "SomeLeaf": self._others,
                "NumberLeaf": self._number,
            }
            self._sides[key] = by_kind.get(criterion.kind, self._join)(criterion, focus, positive)
        return self._sides[key]

    def _join(self, criterion: Criterion, focus: Term, positive: bool) -> Supports:
        turned = criterion.kind in ("not", "none")
        sides = [self.witnesses(part, focus, positive != turned) for part in criterion.parts]
        return together(*sides) if positive != (criterion.kind == "or") else minimal(chain.from_iterable(sides))

    def _fact(self, leaf: Criterion, focus: Term, positive: bool) -> Supports:
        """Met by a present finding at or below the concept and in the region; refuted by an absent one around them."""
        know, graph = self.knowledge, self.graph
        concept, region = know.iri(leaf.iri, COV + "asksFor") or "", know.iri(leaf.iri, COV + "inRegion")
        findings = _either(
            (
                {
                    node: (frozenset({(focus, COV + "finding", node)}),)
                    for node in graph.objects(focus, COV + "finding")
                },
                {
                    node: (frozenset({(focus, COV + "ofClaim", claim), (claim, COV + "finding", node)}),)
                    for claim in graph.objects(focus, COV + "ofClaim")
                    for node in graph.objects(claim, COV + "finding")
                },
            )
        )
        found: list[Support] = []
        for node, ways in findings.items():
            stated = COV + ("Present" if positive else "Absent")
            if (node, COV + "status", stated) not in graph:
                continue
            kinds = (TYPE, COV + "concept") if positive else (COV + "concept",)
            about = [
                {(node, p, value)} | way
                for p in kinds
                for value in graph.objects(node, p)
                for way in self.up(RDFS + "subClassOf", *((value, concept) if positive else (concept, value)))
            ]
            where = (
                [frozenset[Triple]()]
                if region is None
                else [
                    {(node, COV + "region", place)} | way
                    for place in graph.objects(node, COV + "region")
                    for way in self.up(ANATOMY + "partOf", *((place, region) if positive else (region, place)))
                ]
            )
            shown = (frozenset({(node, COV + "status", stated)}),)
            found += together(ways, shown, map(frozenset, about), map(frozenset, where))
        return minimal(found)

    def up(self, predicate: str, low: Term, high: Term) -> Supports:
        """Return the ways from a node by a property, walked again and again, to another."""
        key = (predicate + "*", low)
        if key not in self.kept:
            self.kept[key] = self._closure(predicate, {low: ALREADY})
        return self.kept[key].get(high, ())

    def _known(self, leaf: Criterion, focus: Term, positive: bool) -> Supports:
        """Met where the path reaches the value, or any; refuted where it is known to reach others only."""
        shapes = self.knowledge
        path, value = shapes.value(leaf.iri, SH + "path"), shapes.value(leaf.iri, SH + "hasValue")
        ends = self.walk(path or NIL, focus)
        met = ends.get(value, ()) if value is not None else minimal(chain.from_iterable(ends.values()))
        if positive or met:
            return met if positive else ()
        known_by = shapes.value(leaf.iri, COV + "knownBy")
        return minimal(chain.from_iterable((self.walk(known_by, focus) if known_by is not None else ends).values()))

    def _number(self, leaf: Criterion, focus: Term, positive: bool) -> Supports:
        """Met where the path reaches a number within the limits; refuted where it reaches others only."""
        shapes = self.knowledge
        limits = [(n, v) for n in LIMITS if isinstance(v := shapes.value(leaf.iri, SH + n), Literal)]
        ends = self.walk(shapes.value(leaf.iri, SH + "path") or NIL, focus)
        inside = {
            end: ways
            for end, ways in ends.items()
            if (number := _number(end)) is not None
            and all(LIMITS[name](number, Decimal(limit.value)) for name, limit in limits)
        }
        if positive or inside:
            return minimal(chain.from_iterable(inside.values())) if positive else ()
        return minimal(chain.from_iterable(ends.values()))

    def reached(self, leaf: Criterion, focus: Term) -> Ways:
        """Return the nodes of which a leaf asks its inner criterion."""
        return self.walk(self.knowledge.value(leaf.iri, SH + "path") or NIL, focus)

    def _others(self, leaf: Criterion, focus: Term, positive: bool) -> Supports:
        """All nodes that the path reaches, at least one, meet or refute the inner criterion; or any of them does."""
        (inner,), reached = leaf.parts, self.reached(leaf, focus)
        each = [self.witnesses(inner, node, positive) for node in reached]
        if positive == (leaf.kind == "EveryLeaf"):
            return together(minimal(chain.from_iterable(reached.values())), *each) if reached else ()
        there = zip(reached.values(), each, strict=True)
        return minimal(chain.from_iterable(together(ways, supports) for ways, supports in there))

    # Asserted triples

    def expanded(self, witness: Support) -> Supports:
        """Return the minimal sets of asserted triples that a witness comes down to by the rules."""
        if witness not in self._expanded:
            stated = frozenset(triple for triple in witness if triple not in self.derived)
            derived = (minimal(chain.from_iterable(self.derived[t].values())) for t in witness if t in self.derived)
            self._expanded[witness] = together((stated,), *derived)
        return self._expanded[witness]


Kept = dict[tuple[Term, Term], Ways]  # where paths lead from what is not of a claim


def _either(found: Iterable[Ways]) -> Ways:
    merged: dict[Term, list[Support]] = {}
    for ways in found:
        for end, supports in ways.items():
            merged.setdefault(end, []).extend(supports)
    return {end: minimal(supports) for end, supports in merged.items()}


def _sets(ways: Ways) -> dict[Term, frozenset[Support]]:
    return {end: frozenset(supports) for end, supports in ways.items()}


def _number(term: Term) -> Decimal | None:
    try:
        return Decimal(term.value) if isinstance(term, Literal) and len(term.value) < 400 else None
    except InvalidOperation:
        return None


__all__ = ["Bits", "Criterion", "Kept", "Reading", "joined", "read_criterion", "status"]
