"""Evaluate: what the facts of a claim are to each criterion, and the witnesses that make it so.

A criterion's two bits are whether its two derived SHACL shapes hold. A witness is a set of triples that makes
one of them hold: in every graph between the witness and all that is known it holds (it is sufficient), and
without any one of its triples it does not (it is minimal). "Data Provenance for SHACL" (Delva, Dimou,
Jakubowski, Van den Bussche, EDBT 2023).
"""

from collections.abc import Iterable, Iterator
from itertools import chain, product

from kg.criteria import Criterion
from kg.outcome import Bits, Outcome, side_of
from kg.path import Reached, Step, keep_shorter
from kg.plan import CONCEPT, FINDINGS, OF_CLAIM, REGION, STATUS, Asks, Place, Plan, Values, Way, remember
from kg.reason import Conclusion, Reasoned, with_facts
from kg.shapes import Witness
from kg.terms import COV, TYPE, Term, Triple

AT_SITE, LEVEL = COV + "atSite", COV + "level"


Pieces = tuple[Witness, ...]  # a witness in parts that others share


def merge_all(pieces: Pieces) -> Witness:
    """Join the pieces of a witness, in order, each triple once."""
    return tuple(dict.fromkeys(chain.from_iterable(pieces)))


class Reading:
    """What the facts of one claim are to the leaves of a plan."""

    def __init__(self, plan: Plan, reasoned: Reasoned) -> None:
        self.plan = plan
        self.reasoned = reasoned
        self.index = reasoned.index
        self._claims: dict[Term, list[int]] = {}
        self._bits: dict[Term, Bits] = {}
        self._outcomes: dict[tuple[str, Term], Outcome] = {}
        self._back: dict[str, dict[Term, list[Term]]] = {}
        self._within: dict[Plan, Reading] = {}

    def with_facts(self, conclusions: Iterable[Conclusion]) -> "Reading":
        """Return the reading with more facts about lines; what is read of the claim stays as it is."""
        reading = Reading(self.plan, with_facts(self.reasoned, conclusions))
        reading._claims, reading._back = self._claims, self._back
        return reading

    def bits(self, focus: Term) -> Bits:
        """Return which leaves are met and which are refuted at a node."""
        known = self._bits.get(focus)
        if known is None:
            known = self._bits[focus] = self._of(focus)
        return known

    def _of(self, focus: Term) -> Bits:
        plan = self.plan
        claims = self.index.get((focus, OF_CLAIM), ())
        if len(claims) == 1:
            if claims[0] not in self._claims:
                self._claims[claims[0]] = self._read(plan.of_claim, claims[0], 1)
            found = self._read(plan.own, focus, 0, self._claims[claims[0]])
        else:
            found = self._read((*plan.own, *plan.of_claim), focus, 0)
        hits, known, met, refuted, within = found
        return Bits(met | hits, refuted | known & ~hits, within & ~(met | refuted))

    def _read(
        self, places: Iterable[Place], start: Term, skip: int, before: Iterable[int] = (0, 0, 0, 0, 0)
    ) -> list[int]:
        """Read what is asked at some places, reached from a node by their ways without their first `skip` steps."""
        plan, get = self.plan, self.index.get
        hits, known, met, refuted, within = before
        for place in places:
            nodes = self.walk(start, place.way[skip:])
            for node in nodes:
                for predicate in place.asked:
                    values = get((node, predicate))
                    if values is not None:
                        shown = (
                            place.always.get(predicate)
                            or place.shown.get((predicate, values))
                            or plan.shown(place, predicate, values)
                        )
                        hits |= shown.hits
                        known |= shown.known
                if place.facts:
                    about = (
                        get((node, TYPE), ()),
                        get((node, CONCEPT), ()),
                        get((node, STATUS), ()),
                        get((node, REGION), ()),
                    )
                    shown = plan.found.get(about) or plan.facts_at(place, about)
                    met |= shown.hits
                    refuted |= shown.known
            for asks in place.asks if nodes else ():
                inner, part = self.within(asks), asks.leaf.parts[0]
                outcomes = [inner.outcome(part, node) for node in nodes]
                every = asks.leaf.kind == "EveryLeaf"
                if (all if every else any)(o.met for o in outcomes):
                    met |= asks.bit
                if (any if every else all)(o.refuted for o in outcomes):
                    refuted |= asks.bit
                if any(
                    not o.met and not o.refuted and self._deeper(asks.leaf, n)
                    for o, n in zip(outcomes, nodes, strict=True)
                ):
                    within |= asks.bit
        return [hits, known, met, refuted, within]

    def _deeper(self, leaf: Criterion, node: Term) -> bool:
        """Say whether to document what an open inner criterion asks: where a level, not a mere region, is known."""
        sites = self.index.get((node, AT_SITE), (node,))
        places = (place for site in sites for place in self.index.get((site, LEVEL), ()))
        return not leaf.field or any(place in self.plan.knowledge.level_iris for place in places)

    def within(self, asks: Asks) -> "Reading":
        """Return the reading of what a leaf asks of other nodes."""
        known = self._within.get(asks.plan)
        if known is None:
            known = self._within[asks.plan] = Reading(asks.plan, self.reasoned)
        return known

    def others(self, leaf: Criterion, focus: Term) -> Iterator[tuple[Term, Outcome, "Reading"]]:
        """Yield the nodes of which a leaf asks a criterion, with what it comes to there and how they were read."""
        if leaf.iri in self.plan.others:
            way, asks = self.plan.others[leaf.iri]
            within = self.within(asks)
            for node in self.walk(focus, way):
                yield node, within.outcome(leaf.parts[0], node), within

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
        for step in way:
            if isinstance(step, Step):
                found = [self.index.get((node, step.predicate), ()) for node in nodes]
            else:
                found = [tuple(self._into(step.predicate).get(node, ())) for node in nodes]
            nodes = found[0] if len(found) == 1 else tuple(dict.fromkeys(chain.from_iterable(found)))
        return nodes

    def _into(self, predicate: str) -> dict[Term, list[Term]]:
        if predicate not in self._back:
            back = self._back[predicate] = {}
            for (s, p), values in self.index.items():
                if p == predicate:
                    for value in values:
                        back.setdefault(value, []).append(s)
        return self._back[predicate]

    def outcome(self, criterion: Criterion, focus: Term) -> Outcome:
        """Return what a criterion comes to at a node."""
        plan = self.plan
        if plan.alone:  # nodes of which the same is said are the same
            values = (criterion, tuple([self.index.get((focus, predicate)) for predicate in plan.alone]))
            known = plan.by_values.get(values)
            return known or remember(plan.by_values, values, plan.outcome(criterion, self.bits(focus)))
        key = (criterion.iri, focus)
        known = self._outcomes.get(key)
        if known is None:
            known = self._outcomes[key] = plan.outcome(criterion, self.bits(focus))
        return known

    # Why

    def all(self, leaf: Criterion, focus: Term, positive: bool) -> Iterator[Pieces]:
        """Yield the minimal witnesses by which a leaf is met at a node, or is refuted, in pieces."""
        found = self._finding if leaf.concept else self._of_others if leaf.parts else self._value
        earlier: list[frozenset[Triple]] = []
        waiting: Pieces | None = None  # the last one: what is alone is compared with nothing
        for pieces in found(leaf, focus, positive):
            if waiting is None and not earlier:
                waiting = pieces
                yield pieces
                continue
            if waiting is not None:
                earlier.append(frozenset(chain.from_iterable(waiting)))
                waiting = None
            triples = frozenset(chain.from_iterable(pieces))
            if not any(other <= triples for other in earlier):
                yield pieces
                earlier.append(triples)

    def first(self, leaf: Criterion, focus: Term, positive: bool) -> Pieces:
        """Return the first of the minimal witnesses, in pieces."""
        if leaf.concept:
            return next(self._finding(leaf, focus, positive))
        if leaf.parts:
            return self._first_of_others(leaf, focus, positive)
        for way, predicate, asked in self.plan.where[leaf.iri]:
            if asked.hits if positive else asked.known:
                for node in self.walk(focus, way) if way else (focus,):
                    for value in self.index.get((node, predicate), ()):
                        steps = self.plan.first_end(asked, value, positive)
                        if steps is not None:
                            shown = ((node, predicate, value),)
                            return (self.traces(focus, way)[node], shown, steps) if way else (shown, steps)
        raise LookupError(leaf.iri)

    def _value(self, leaf: Criterion, focus: Term, positive: bool) -> Iterator[Pieces]:
        for way, predicate, asked in self.plan.where[leaf.iri]:
            if asked.hits if positive else asked.known:
                ends = self.plan.ends if positive else self.plan.reached_by
                for node, trace in self.traces(focus, way).items():
                    for value in self.index.get((node, predicate), ()):
                        for steps in ends(asked, value):
                            yield trace, ((node, predicate, value),), steps

    def _finding(self, leaf: Criterion, focus: Term, positive: bool) -> Iterator[Pieces]:
        look = self.plan.present if positive else self.plan.absent
        for *way, last in FINDINGS:
            for start, trace in self.traces(focus, tuple(way)).items():
                for node in self.walk(start, (last,)):
                    about = [self.index.get((node, predicate), ()) for predicate in (TYPE, CONCEPT, STATUS, REGION)]
                    for by, value, steps, status, region, further in look(leaf, *about):
                        found = (*trace, (start, last.predicate, node), (node, by, value))
                        shown: Pieces = (found, steps, ((node, STATUS, status),))
                        yield shown if region is None else (*shown, ((node, REGION, region),), further)

    def _first_of_others(self, leaf: Criterion, focus: Term, positive: bool) -> Pieces:
        (way, asks), part = self.plan.others[leaf.iri], leaf.parts[0]
        inner, reached = self.within(asks), self.traces(focus, way)
        every = positive == (leaf.kind == "EveryLeaf")
        pieces: list[Witness] = []
        for node, trace in reached.items():
            outcome = inner.outcome(part, node)
            if every or (outcome.met if positive else outcome.refuted):
                if not pieces:
                    pieces.append(trace)
                first = inner.first if part.is_leaf else inner.first_of
                pieces += first(part, node, positive)
                if not every:
                    break
        return tuple(pieces)

    def first_of(self, criterion: Criterion, focus: Term, positive: bool) -> Pieces:
        """Return the first of the witnesses of a join."""
        return next(self.witnesses(criterion, focus, positive))

    def _of_others(self, leaf: Criterion, focus: Term, positive: bool) -> Iterator[Pieces]:
        way, asks = self.plan.others[leaf.iri]
        reached, inner, part = self.traces(focus, way), self.within(asks), leaf.parts[0]
        if positive != (leaf.kind == "EveryLeaf"):  # one is enough
            for node, trace in reached.items():
                for witness in inner.witnesses(part, node, positive):
                    yield trace, *witness
            return
        each = [tuple(inner.witnesses(part, node, positive)) for node in reached]
        for trace in reached.values():
            for chosen in product(*each):
                yield trace, *chain.from_iterable(chosen)

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

    def traces(self, focus: Term, way: Way) -> Reached:
        """Return the nodes to which a way leads, each with the triples on the way."""
        if len(way) == 1 and isinstance(way[0], Step):
            predicate = way[0].predicate
            return {end: ((focus, predicate, end),) for end in self.index.get((focus, predicate), ())}
        reached: Reached = {focus: ()}
        for step in way:
            further: Reached = {}
            for node, trace in reached.items():
                if isinstance(step, Step):
                    for end in self.index.get((node, step.predicate), ()):
                        keep_shorter(further, end, (*trace, (node, step.predicate, end)))
                else:
                    for end in self._into(step.predicate).get(node, ()):
                        keep_shorter(further, end, (*trace, (end, step.predicate, node)))
            reached = further
        return reached
