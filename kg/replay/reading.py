"""Replay of the reading: criteria from the shapes graph, their statuses on the facts, and every witness of each.

For `kg.verify` alone. A path is walked naively from triple to triple, in the order of the claim and of the ontology,
and every way that it takes is kept; so the witnesses of a leaf are not searched for but counted out. Of ways that
differ in the ontology alone the shortest is told. What a rule or a closed side takes from the whole graph (that
nothing else is there) is read from the whole graph.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from itertools import chain, product

from kg.graph import FIRST, NIL, Graph
from kg.replay.criteria import OPEN, Bits, Criterion, joined, members, needs_all, sides
from kg.replay.rules import Derivations
from kg.replay.supports import Piece, Support, Supports, minimal, triples_of
from kg.terms import ANATOMY, COV, RDFS, SH, TYPE, Literal, Term, Triple

LIMITS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "minInclusive": lambda number, limit: number >= limit,
    "minExclusive": lambda number, limit: number > limit,
    "maxInclusive": lambda number, limit: number <= limit,
    "maxExclusive": lambda number, limit: number < limit,
}
LISTED = 256  # witnesses of one leaf beyond these are not told
Way = tuple[Term, Piece]  # where it ends, and the triples on it
Candidate = tuple[object, Support]  # of those with the same mark the first is told


class Reading:
    """The facts of a claim with what follows from them, over the knowledge, as criteria read them."""

    def __init__(self, claim: str, facts: Iterable[Triple], derived: Derivations, know: Graph, kept: "Kept") -> None:
        self.claim, self.derived, self.knowledge, self.kept = claim, derived, know, kept
        self.facts = tuple(facts)
        self.graph = Graph(chain(self.facts, derived), below=know)
        self._bits: dict[tuple[str, Term], Bits] = {}
        self._candidates: dict[tuple[str, Term, bool], tuple[Candidate, ...]] = {}
        self._walked: dict[tuple[Term, Term], tuple[Way, ...]] = {}
        self._supports: dict[Triple, list[frozenset[Triple]]] = {}

    def decided(self, decisions: Mapping[str, str]) -> "Reading":
        """Return the reading with the decisions of base lines."""
        settled = {"approve": "approve", "deny": "deny", "not-billable": "notBillable"}
        said = [(base, COV + "decision", COV + settled[d]) for base, d in decisions.items() if d in settled]
        return Reading(self.claim, (*self.facts, *said), self.derived, self.knowledge, self.kept) if said else self

    def is_of_claim(self, term: Term) -> bool:
        """Say whether a node is of the claim, and not of the knowledge."""
        return not isinstance(term, str) or term.startswith(self.claim)

    # Paths

    def ways(self, path: Term, start: Term) -> tuple[Way, ...]:
        """Return the ways that a path of the shapes graph takes from a node, each with where it ends."""
        walked = self._walked if self.is_of_claim(start) else self.kept
        key = (path, start)
        if key not in walked:
            walked[key] = tuple(self._ways(path, start))
        return walked[key]

    def _ways(self, path: Term, start: Term) -> Iterable[Way]:
        shapes = self.knowledge
        if isinstance(path, str) and path != NIL:
            return [(o, ((start, path, o),)) for o in self.graph.objects(start, path)]
        if shapes.objects(path, FIRST):
            reached: list[Way] = [(start, ())]
            for step in members(shapes, path):
                reached = self._further(step, reached)
            return reached
        (form,) = shapes.predicates(path)
        (inner,) = shapes.objects(path, form)
        match form.removeprefix(SH):
            case "inversePath" if isinstance(inner, str):
                return [(s, ((s, inner, start),)) for s in self.graph.subjects(inner, start)]
            case "alternativePath":
                return chain.from_iterable(self.ways(part, start) for part in members(shapes, inner))
            case "zeroOrOnePath":
                return [(start, ()), *self.ways(inner, start)]
            case "zeroOrMorePath":
                return self._closure(inner, [(start, ())])
            case "oneOrMorePath":
                return self._closure(inner, list(self.ways(inner, start)))
        raise ValueError(form)

    def _further(self, step: Term, reached: list[Way]) -> list[Way]:
        return [(end, (*way, *more)) for middle, way in reached for end, more in self.ways(step, middle)]

    def _closure(self, step: Term, reached: list[Way]) -> list[Way]:
        """Walk on, the shorter ways first, until no way leads further without walking in a circle."""
        found, latest = list(reached), reached
        while latest:
            latest = [(end, way) for end, way in self._further(step, latest) if len({*way}) == len(way)]
            found += latest
        return found

    def branches(self, path: Term) -> list[tuple[Term, ...]]:
        """Return the sequences of steps that a path allows, one for each choice among its alternatives."""
        shapes = self.knowledge
        if isinstance(path, str) and path != NIL:
            return [(path,)]
        if shapes.objects(path, FIRST):
            chosen = product(*map(self.branches, members(shapes, path)))
            return [tuple(chain.from_iterable(parts)) for parts in chosen]
        if alternatives := shapes.value(path, SH + "alternativePath"):
            return [steps for part in members(shapes, alternatives) for steps in self.branches(part)]
        return [(path,)]

    # Leaves

    def bits(self, criterion: Criterion, focus: Term) -> Bits:
        """Return whether a criterion is met at a node, and whether it is refuted."""
        if not criterion.is_leaf:
            return joined(criterion.kind, [self.bits(part, focus) for part in criterion.parts])
        key = (criterion.iri, focus)
        if key not in self._bits:
            self._bits[key] = self.holds(criterion, focus, True), self.holds(criterion, focus, False)
        return self._bits[key]

    def holds(self, leaf: Criterion, focus: Term, positive: bool) -> bool:
        """Say whether a side of a leaf holds at a node."""
        if not leaf.parts:
            return bool(self.candidates(leaf, focus, positive))
        inner = [self.bits(leaf.parts[0], node)[0 if positive else 1] for node in self.reached(leaf, focus)]
        return bool(inner) and (all(inner) if needs_all(leaf, positive) else any(inner))

    def candidates(self, leaf: Criterion, focus: Term, positive: bool) -> tuple[Candidate, ...]:
        """Return every set of triples, derived ones included, by which a side of a leaf of the node itself holds.

        Of a closed side it shows that something is known.
        """
        key = (leaf.iri, focus, positive)
        if key not in self._candidates:
            by_kind = {"FactLeaf": self._fact, "KnownLeaf": self._known, "NumberLeaf": self._number}
            self._candidates[key] = tuple(by_kind[leaf.kind](leaf, focus, positive))
        return self._candidates[key]

    def _fact(self, leaf: Criterion, focus: Term, positive: bool) -> Iterator[Candidate]:
        """Yield what meets it: a present finding at or below the concept; or an absent one at or above refutes it."""
        stated = COV + ("Present" if positive else "Absent")
        for trace, node in self._findings(focus):
            if (node, COV + "status", stated) not in self.graph:
                continue
            for kind in (TYPE, COV + "concept") if positive else (COV + "concept",):
                for value in self.graph.objects(node, kind):
                    for steps in self._between(RDFS + "subClassOf", value, leaf.concept, positive):
                        told = (steps,) if positive else single(steps)
                        shown = (*trace, ((node, kind, value),), *told, ((node, COV + "status", stated),))
                        for place, where in self._where(leaf, node, positive):
                            yield (trace, place), (*shown, *where)

    def _findings(self, focus: Term) -> Iterator[tuple[Support, Term]]:
        """Yield the findings of a node, then those of the claim that it is of."""
        finding, of_claim = COV + "finding", COV + "ofClaim"
        for node in self.graph.objects(focus, finding):
            yield single(((focus, finding, node),)), node
        for claim in self.graph.objects(focus, of_claim):
            for node in self.graph.objects(claim, finding):
                yield single(((focus, of_claim, claim), (claim, finding, node))), node

    def _where(self, leaf: Criterion, node: Term, positive: bool) -> Iterator[tuple[Term, Support]]:
        """Yield where a finding is, as far as the leaf asks: in its region if present, in it or around it if absent."""
        if not leaf.region:
            yield "", ()
        for place in self.graph.objects(node, COV + "region") if leaf.region else ():
            for steps in self._between(ANATOMY + "partOf", place, leaf.region, positive):
                yield place, (((node, COV + "region", place),), *((steps,) if steps else ()))

    def _between(self, predicate: str, given: Term, asked: Term, upwards: bool) -> Iterator[Piece]:
        """Yield the ways up from what is given to what is asked, or down to it, told from what is given."""
        low, high = (given, asked) if upwards else (asked, given)
        key = (predicate + "*", low)
        if key not in self.kept:
            self.kept[key] = tuple(self._closure(predicate, [(low, ())]))
        for end, way in self.kept[key]:
            if end == high:
                yield way if upwards else way[::-1]

    def _along(self, leaf: Criterion, focus: Term, by: str = SH + "path") -> Iterator[tuple[Term, Candidate]]:
        """Yield what the path of a leaf reaches, and how; the steps through the ontology are told as one."""
        for i, steps in enumerate(self.branches(self.knowledge.value(leaf.iri, by) or NIL)):
            reached: list[Way] = [(focus, ())]
            for step in steps:
                reached = self._further(step, reached)
            for end, way in reached:
                stated = tuple(triple for triple in way if self.is_of_claim(triple[0]))
                onward = way[len(stated) :]
                yield end, ((i, stated[-1:], end), (*single(stated), *((onward,) if onward else ())))

    def _known(self, leaf: Criterion, focus: Term, positive: bool) -> Iterable[Candidate]:
        """Yield what meets it: the path reaches the value, or any; or to reach others only refutes it."""
        value = self.knowledge.value(leaf.iri, SH + "hasValue")
        met = [found for end, found in self._along(leaf, focus) if value in (None, end)]
        if positive or met:
            return met if positive else ()
        apart = self.knowledge.value(leaf.iri, COV + "knownBy") is not None
        return [found for _, found in self._along(leaf, focus, COV + "knownBy" if apart else SH + "path")]

    def _number(self, leaf: Criterion, focus: Term, positive: bool) -> Iterable[Candidate]:
        """Yield what meets it: the path reaches a number within the limits; or to reach others only refutes it."""
        shapes = self.knowledge
        limits = [(n, v) for n in LIMITS if isinstance(v := shapes.value(leaf.iri, SH + n), Literal)]
        ends = list(self._along(leaf, focus))
        inside = [
            found
            for end, found in ends
            if (number := _decimal(end)) is not None
            and all(LIMITS[name](number, Decimal(limit.value)) for name, limit in limits)
        ]
        if positive or inside:
            return inside if positive else ()
        return [found for _, found in ends]

    def reached(self, leaf: Criterion, focus: Term) -> dict[Term, Support]:
        """Return the nodes of which a leaf asks its inner criterion, each with the first way there."""
        found: dict[Term, Support] = {}
        for node, (_, way) in self._along(leaf, focus):
            found.setdefault(node, way)
        return found

    def field(self, leaf: Criterion, focus: Term) -> str:
        """Return the field of the claim that would settle an open leaf: what it asks of a known level, if any."""
        for node in self.reached(leaf, focus) if leaf.parts else ():
            if self.bits(leaf.parts[0], node) == OPEN and (not leaf.field or self.is_at_level(node)):
                return leaf.parts[0].field
        return leaf.field

    def is_at_level(self, node: Term) -> bool:
        """Say whether a part of the claim is at a level, not in a mere region."""
        kinds = {ANATOMY + "Interspace", ANATOMY + "Vertebra"}
        sites = self.graph.objects(node, COV + "atSite") or (node,)
        levels = (level for site in sites for level in self.graph.objects(site, COV + "level"))
        return any(kind in kinds for level in levels for kind in self.knowledge.objects(level, TYPE))

    # Witnesses

    def first(self, criterion: Criterion, focus: Term, positive: bool) -> Support:
        """Return the witness that is told of a side that holds."""
        return next(self._told(criterion, focus, positive))

    def witnesses(self, criterion: Criterion, focus: Term, positive: bool) -> Supports:
        """Return all witnesses of a side that holds: of ways that differ in the ontology alone the first."""
        found: dict[frozenset[Triple], Support] = {}
        for support in self._told(criterion, focus, positive):
            triples = triples_of(support)
            if not any(earlier <= triples for earlier in found):
                found[triples] = support
            if len(found) == LISTED:
                break
        return minimal(found.values())

    def _told(self, criterion: Criterion, focus: Term, positive: bool) -> Iterator[Support]:
        if not self.bits(criterion, focus)[0 if positive else 1]:
            return
        if not criterion.is_leaf:
            needs_each, needed = sides(criterion, positive)
            each = [self._told(part, focus, side) for part, side in needed]
            yield from map(_flat, product(*each)) if needs_each else chain.from_iterable(each)
        elif not criterion.parts:
            first: dict[object, Support] = {}
            for mark, support in self.candidates(criterion, focus, positive):
                first.setdefault(mark, support)
            yield from minimal(first.values())
        elif needs_all(criterion, positive):
            reached = self.reached(criterion, focus)
            each = [self._told(criterion.parts[0], node, positive) for node in reached]
            yield from map(_flat, product(reached.values(), *map(tuple, each)))
        else:
            for node, trace in self.reached(criterion, focus).items():
                for witness in self._told(criterion.parts[0], node, positive):
                    yield (*trace, *witness)

    def suffices(self, have: frozenset[Triple], criterion: Criterion, focus: Term, positive: bool) -> bool:
        """Say whether a side of a criterion holds by some asserted triples, with what follows from them."""
        if not criterion.is_leaf:
            needs_each, needed = sides(criterion, positive)
            shown = (self.suffices(have, part, focus, side) for part, side in needed)
            return all(shown) if needs_each else any(shown)
        if not criterion.parts:
            candidates = self.candidates(criterion, focus, positive)
            return any(all(self.follows(t, have) for piece in support for t in piece) for _, support in candidates)
        (inner,), reached = criterion.parts, self.reached(criterion, focus)
        traced = [all(self.follows(t, have) for piece in trace for t in piece) for trace in reached.values()]
        shown = (self.suffices(have, inner, node, positive) for node in reached)
        if needs_all(criterion, positive):
            return any(traced) and all(shown)
        return any(way and inside for way, inside in zip(traced, shown, strict=True))

    def follows(self, triple: Triple, have: frozenset[Triple]) -> bool:
        """Say whether a triple is among some, or follows from them by a rule."""
        if triple in have:
            return True
        if triple not in self._supports:
            by_rule = self.derived.get(triple, {}).values()
            self._supports[triple] = list(map(triples_of, chain.from_iterable(by_rule)))
        return any(support <= have for support in self._supports[triple])


Kept = dict[tuple[Term, Term], tuple[Way, ...]]  # where paths lead from what is not of a claim


def single(triples: Iterable[Triple]) -> Support:
    """Return triples as pieces of their own."""
    return tuple((triple,) for triple in triples)


def _flat(parts: Iterable[Support]) -> Support:
    return tuple(chain.from_iterable(parts))


def _decimal(term: Term) -> Decimal | None:
    try:
        return Decimal(term.value) if isinstance(term, Literal) and len(term.value) < 400 else None
    except InvalidOperation:
        return None
