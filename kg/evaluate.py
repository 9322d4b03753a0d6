"""Evaluate: what the facts of a claim are to each criterion, and the witnesses that make it so.

A criterion's two bits are whether its two derived SHACL shapes hold. A witness is a set of triples that makes
one of them hold: in every graph between the witness and all that is known it holds (it is sufficient), and
without any one of its triples it does not (it is minimal). "Data Provenance for SHACL" (Delva, Dimou,
Jakubowski, Van den Bussche, EDBT 2023).
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, product, repeat
from typing import Any

from kg.criteria import Criterion
from kg.graph import Index
from kg.outcome import Bits, Outcome, side_of
from kg.plan import (
    ANY,
    CONCEPT,
    FEW,
    OF_CLAIM,
    REGION,
    STATUS,
    Asks,
    Entry,
    Located,
    Place,
    Plan,
    Shown,
    Values,
    Way,
    entry,
    remember,
)
from kg.reason import Reasoned, with_decisions
from kg.shapes import Witness
from kg.terms import COV, ITSELF, TYPE, Alike, Term, Triple

AT_SITE, LEVEL = COV + "atSite", COV + "level"


Pieces = tuple[Witness, ...]  # a witness in parts that others share
Sum = tuple[int, int, int, int, int]  # the leaves that are hit, that know a value, met, refuted, open within
Said = tuple[bool, bool, bool]  # whether some nodes make a leaf met, refuted, or open within
NOTHING: Sum = (0, 0, 0, 0, 0)


Found = tuple[Place, Term, Shown]  # a finding, where it was read, and what it shows


class Reading:
    """What the facts of one claim are to the leaves of a plan."""

    def __init__(self, plan: Plan, reasoned: Reasoned) -> None:
        self.plan = plan
        self.reasoned = reasoned
        self.index = reasoned.index
        self._claims: dict[Term, tuple[Sum, list[Found]]] = {}
        self._bits: dict[Term, Bits] = {}
        self._found: dict[Term, list[Found]] = {}
        self._back: Index = {}
        self._within: dict[Plan, Reading] = {}
        self._before: Reading | None = None  # without the decisions of base lines, where these are known

    def with_decisions(self, decisions: Mapping[str, str]) -> "Reading":
        """Return the reading with the decisions of base lines; what these do not bear on stays as it was read."""
        reading = Reading(self.plan, with_decisions(self.reasoned, decisions))
        reading._before = self
        reading._back, reading._found = self._back, self._found
        return reading

    def bits(self, focus: Term) -> Bits:
        """Return which leaves are met and which are refuted at a node."""
        known = self._bits.get(focus)
        if known is None:
            known = self._bits[focus] = self._of(focus)
        return known

    def _of(self, focus: Term) -> Bits:
        plan = self.plan
        if self._before is not None:
            mask, places = plan.of_decisions
            met, refuted, within = self._before.bits(focus)
            hits, known, yes, no, deeper = self._read(places, focus, NOTHING)
            yes, no = yes | hits, no | known & ~hits
            settled = yes | no
            return Bits(met & ~mask | yes, refuted & ~mask | no, within & ~mask | deeper & ~settled)
        own = self._found.setdefault(focus, [])
        claims = self.index.get((focus, OF_CLAIM), ())
        if len(claims) == 1:
            claim = claims[0]
            if claim not in self._claims:
                self._claims[claim] = self._read(plan.of_claim, claim, NOTHING), self._found.pop(claim, [])
            before, found = self._claims[claim]
            read = self._read(plan.own, focus, before)
            own += found
        else:
            read = self._read((*plan.own, *(entry(place, place.way) for place, *_ in plan.of_claim)), focus, NOTHING)
        hits, known, met, refuted, within = read
        return Bits(met | hits, refuted | known & ~hits, within & ~(met | refuted))

    def _read(self, places: Iterable[Entry], start: Term, before: Sum) -> Sum:
        """Read what is asked at some places, each reached from a node by a way."""
        plan, get = self.plan, self.index.get
        hits, known, met, refuted, within = before
        for place, way, single in places:
            nodes = get((start, single), ()) if single else self.walk(start, way) if way else (start,)
            if not nodes:
                continue
            for node in nodes:
                for predicate, prop in place.asked.items():
                    values = get((node, predicate))
                    if values is not None:
                        shown = prop.shown.get(prop.always or values) or plan.shown(prop, values)
                        hits |= shown.hits
                        known |= shown.known
                if place.facts:
                    about = (
                        get((node, TYPE), ()),
                        get((node, CONCEPT), ()),
                        get((node, STATUS), ()),
                        get((node, REGION), ()),
                    )
                    shown = plan.found.get(about) or plan.facts_at(about)
                    if shown.hits or shown.known:
                        met |= shown.hits
                        refuted |= shown.known
                        self._found.setdefault(start, []).append((place, node, shown))
            for asks in place.asks:
                yes, no, deeper = self._asked(asks, nodes)
                if yes:
                    met |= asks.bit
                if no:
                    refuted |= asks.bit
                if deeper:
                    within |= asks.bit
        return hits, known, met, refuted, within

    def _asked(self, asks: Asks, nodes: Values) -> Said:
        """Return whether some nodes make a leaf met, whether refuted, and whether to document more of one of them."""
        if type(nodes) is not Alike or not asks.plan.alone:
            return self._asked_anew(asks, nodes)
        known: Said | None = nodes.kept.get(asks)
        return known or remember(nodes.kept, asks, self._asked_anew(asks, nodes), FEW)

    def _asked_anew(self, asks: Asks, nodes: Values) -> Said:
        inner, part, every = self.within(asks), asks.leaf.parts[0], asks.leaf.kind == "EveryLeaf"
        met = refuted = 0
        deeper = False
        for node in nodes:
            outcome = inner.outcome(part, node)
            if outcome.met:
                met += 1
            if outcome.refuted:
                refuted += 1
            elif not outcome.met:
                deeper = deeper or self._deeper(asks.leaf, node)
        all_of = len(nodes)
        return (met == all_of, refuted > 0, deeper) if every else (met > 0, refuted == all_of, deeper)

    def _deeper(self, leaf: Criterion, node: Term) -> bool:
        """Say whether to document what an open inner criterion asks: where a level, not a mere region, is known."""
        sites = self.index.get((node, AT_SITE), (node,))
        places = (place for site in sites for place in self.index.get((site, LEVEL), ()))
        return not leaf.field or any(place in self.plan.knowledge.level_iris for place in places)

    def within(self, asks: Asks) -> "Reading":
        """Return the reading of what a leaf asks of other nodes."""
        known = self._within.get(asks.plan)
        if known is None:
            if self._before is not None and not asks.bit & self.plan.of_decisions[0]:
                return self._before.within(asks)
            known = self._within[asks.plan] = Reading(asks.plan, self.reasoned)
        return known

    def others(self, leaf: Criterion, focus: Term) -> Iterator[tuple[Term, Outcome, "Reading"]]:
        """Yield the nodes of which a leaf asks a criterion, with what it comes to there and how they were read."""
        if leaf.iri in self.plan.others:
            place, asks = self.plan.others[leaf.iri]
            within = self.within(asks)
            for node in self.walk(focus, place.way):
                yield node, within.outcome(leaf.parts[0], node), within

    def kept_with(self, leaf: Criterion, focus: Term) -> dict[Any, Any] | None:
        """Return what is kept with the nodes of which a leaf asks; None where they may be otherwise in other claims."""
        place, asks = self.plan.others[leaf.iri]
        nodes = self.walk(focus, place.way)
        return nodes.kept if type(nodes) is Alike and asks.plan.alone else None

    def below(self, outcome: Outcome, focus: Term) -> Iterator[Outcome]:
        """Yield an outcome and all below it, those that a leaf asks of other nodes included."""
        yield outcome
        for part in outcome.parts:
            yield from self.below(part, focus)
        for node, inner, within in self.others(outcome.criterion, focus):
            yield from within.below(inner, node)

    def walk(self, node: Term, way: Way) -> Values:
        """Return the nodes to which a way leads, each once."""
        nodes: Values = (node,)
        for predicate, forwards in way:
            index = self.index if forwards else self.back
            if len(nodes) == 1:
                nodes = index.get((nodes[0], predicate), ())
            else:
                nodes = tuple(dict.fromkeys([end for node in nodes for end in index.get((node, predicate), ())]))
        return nodes

    @property
    def back(self) -> Index:
        """Return the subjects of each value, of the properties that are walked backwards."""
        if not self._back:
            back, walked = self._back, self.plan.backwards - {OF_CLAIM}
            back[ITSELF, OF_CLAIM] = tuple([line for line, _ in self.reasoned.facts.lines])  # and of nothing else
            for s, p in [(s, p) for s, p in self.index if p in walked] if walked else ():
                for value in self.index[s, p]:
                    back[value, p] = (*back.get((value, p), ()), s)
        return self._back

    def outcome(self, criterion: Criterion, focus: Term) -> Outcome:
        """Return what a criterion comes to at a node."""
        plan = self.plan
        if not plan.alone:
            return plan.outcome(criterion, self.bits(focus))
        said: tuple[object, Values | None] = criterion, ()  # nodes of which the same is said are the same
        for predicate in plan.alone:
            said = said, self.index.get((focus, predicate))
        found = plan.by_values.get(said)
        return found or remember(plan.by_values, said, plan.outcome(criterion, self.bits(focus)))

    # Why

    def all(self, leaf: Criterion, focus: Term, positive: bool) -> Iterator[Pieces]:
        """Yield the minimal witnesses by which a leaf is met at a node, or is refuted, in pieces."""
        found = self._finding if leaf.concept else self._of_others if leaf.parts else self._value
        earlier: list[frozenset[Triple]] = []
        alone: Pieces | None = None  # the first one: what is alone is compared with nothing
        for pieces in found(leaf, focus, positive):
            if alone is None:
                alone = pieces
                yield pieces
                continue
            earlier = earlier or [frozenset(chain.from_iterable(alone))]
            triples = frozenset(chain.from_iterable(pieces))
            if not any(map(triples.issuperset, earlier)):
                yield pieces
                earlier.append(triples)

    def first(self, leaf: Criterion, focus: Term, positive: bool) -> Pieces:
        """Return the first of the minimal witnesses, in pieces."""
        if leaf.parts:
            return self._first_of_others(leaf, focus, positive)
        bit = self.plan.bit[leaf.iri]
        if leaf.concept:
            place, node, shown = self.finding(leaf, focus, positive)
            return self._located(focus, place.way, node, (shown.met if positive else shown.refuted)[bit][0])
        for place, predicate in self.plan.where[leaf.iri]:
            for node in self.walk(focus, place.way):
                values = self.index.get((node, predicate))
                if values is not None:
                    prop = place.asked[predicate]
                    shown = prop.shown.get(prop.always or values) or self.plan.shown(prop, values)
                    ways = (shown.met if positive else shown.refuted).get(bit)
                    if ways:
                        value, steps = ways[0]
                        end = values[0] if value is ANY else value
                        return self.trace(focus, place.way, node, (node, predicate, end)), steps
        raise LookupError(leaf.iri)

    def finding(self, leaf: Criterion, focus: Term, positive: bool) -> Found:
        """Return the first finding by which a leaf is met, or refuted, where it was read, and what it shows."""
        bit = self.plan.bit[leaf.iri]
        for found in self._found[focus]:
            if (found[2].hits if positive else found[2].known) & bit:
                return found
        raise LookupError(leaf.iri)

    def _value(self, leaf: Criterion, focus: Term, positive: bool) -> Iterator[Pieces]:
        bit = self.plan.bit[leaf.iri]
        for place, predicate in self.plan.where[leaf.iri]:
            for node in self.walk(focus, place.way):
                values = self.index.get((node, predicate))
                if values is not None:
                    shown = self.plan.shown(place.asked[predicate], values)
                    ways = (shown.met if positive else shown.refuted).get(bit, ())
                    for value, steps in ways:
                        for one in values if value is ANY else (value,):
                            yield self.trace(focus, place.way, node, (node, predicate, one)), steps

    def _finding(self, leaf: Criterion, focus: Term, positive: bool) -> Iterator[Pieces]:
        bit = self.plan.bit[leaf.iri]
        for place, node, shown in self._found[focus]:
            if (shown.hits if positive else shown.known) & bit:
                for way in (shown.met if positive else shown.refuted)[bit]:
                    yield self._located(focus, place.way, node, way)

    def _first_of_others(self, leaf: Criterion, focus: Term, positive: bool) -> Pieces:
        (place, asks), part = self.plan.others[leaf.iri], leaf.parts[0]
        inner = self.within(asks)
        every = positive == (leaf.kind == "EveryLeaf")
        pieces: list[Witness] = []
        for node in self.walk(focus, place.way):
            outcome = inner.outcome(part, node)
            if every or (outcome.met if positive else outcome.refuted):
                if not pieces:
                    pieces.append(self.trace(focus, place.way, node))
                first = inner.first if part.is_leaf else inner.first_of
                pieces += first(part, node, positive)
                if not every:
                    break
        return tuple(pieces)

    def first_of(self, criterion: Criterion, focus: Term, positive: bool) -> Pieces:
        """Return the first of the witnesses of a join."""
        return next(self.witnesses(criterion, focus, positive))

    def _of_others(self, leaf: Criterion, focus: Term, positive: bool) -> Iterator[Pieces]:
        place, asks = self.plan.others[leaf.iri]
        nodes, inner, part = self.walk(focus, place.way), self.within(asks), leaf.parts[0]
        if positive != (leaf.kind == "EveryLeaf"):  # one is enough
            for node in nodes:
                trace = self.trace(focus, place.way, node)
                for witness in inner.all_of(part, node, positive):
                    yield trace, *witness
            return
        each = [tuple(inner.all_of(part, node, positive)) for node in nodes]
        for node in nodes:
            trace = self.trace(focus, place.way, node)
            for chosen in product(*each):
                yield trace, *chain.from_iterable(chosen)

    def all_of(self, criterion: Criterion, focus: Term, positive: bool) -> Iterable[Pieces]:
        """Return the witnesses by which a criterion is met at a node, or is refuted; those of like nodes are kept."""
        plan = self.plan
        if not plan.alone:
            return self.witnesses(criterion, focus, positive)
        key = criterion, focus, positive, *map(self.index.get, zip(repeat(focus), plan.alone))
        found: Iterable[Pieces] | None = plan.witnesses.get(key)
        if found is None:
            found = remember(plan.witnesses, key, tuple(self.witnesses(criterion, focus, positive)))
        return found

    def witnesses(self, criterion: Criterion, focus: Term, positive: bool) -> Iterator[Pieces]:
        """Yield witnesses by which a criterion is met at a node, or is refuted; of a join, from those of its parts."""
        outcome = self.outcome(criterion, focus)
        if not (outcome.met if positive else outcome.refuted):
            return
        if criterion.is_leaf:
            yield from self.all(criterion, focus, positive)
            return
        quantifier, sides = side_of(criterion.kind, len(criterion.parts), positive)
        found = [self.witnesses(criterion.parts[i], focus, side) for i, side in sides]
        if quantifier is all:
            yield from (tuple(chain.from_iterable(chosen)) for chosen in product(*found))
        else:
            yield from chain.from_iterable(found)

    def trace(self, focus: Term, way: Way, node: Term, *shown: Triple) -> Witness:
        """Return the triples on the way to one of the nodes to which it leads, and those that are shown there."""
        taken: list[Triple] = []
        left = len(way)
        for predicate, forwards in way:
            start, end, left = focus, node, left - 1
            if left:
                ends = (self.index if forwards else self.back)[start, predicate]
                end = ends[0] if len(ends) == 1 else next(one for one in ends if node in self.walk(one, way[-left:]))
            taken.append((start, predicate, end) if forwards else (end, predicate, start))
            focus = end
        return (*taken, *shown)

    def _located(self, focus: Term, to: Way, node: Term, way: Located) -> Pieces:
        """Return how a finding shows a fact, in pieces."""
        by, value, steps, status, region, further = way
        shown = self.trace(focus, to, node, (node, by, value)), steps
        if region is None:
            return *shown, ((node, STATUS, status),)
        return *shown, ((node, STATUS, status), (node, REGION, region)), further
