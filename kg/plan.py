"""Plan: how the leaves of criteria are read from a claim, compiled once for all claims.

A path leaves the claim for the ontology at some property; what follows from there depends on the knowledge
alone, and is found once for each value. So a node is read by looking up what each of its few values shows: one
set of bits, in which every leaf has its place. What a set of bits makes of a criterion depends on the policy
alone, and is found once, too.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from kg.criteria import Criterion
from kg.knowledge import Clause, Knowledge
from kg.lazy import Table
from kg.outcome import Bits, Outcome, joined
from kg.path import BackStep, Path, Reached, Sequence, Step, branches, walked
from kg.shapes import Run, Shape
from kg.terms import COV, ITS_OPERATION, ITSELF, TYPE, Known, Term, Triple

OF_CLAIM = COV + "ofClaim"
DECISION = COV + "decision"
CONCEPT, STATUS, REGION = COV + "concept", COV + "status", COV + "region"
PRESENT, ABSENT = COV + "Present", COV + "Absent"
CONTINUOUS, BASE = "https://w3id.org/coverpath/line#continuous", "https://w3id.org/coverpath/line#base-approved"
MANY = 1 << 15  # values, findings and outcomes that are remembered, each; then they are found anew
FEW = 1 << 10  # of what is found of one of these

Way = tuple[tuple[str, bool], ...]  # properties from node to node of the claim, each with whether it is walked forwards
TO_CLAIM, FROM_CLAIM, TO_FINDING = (OF_CLAIM, True), (OF_CLAIM, False), (COV + "finding", True)
FINDINGS: tuple[Way, ...] = ((TO_FINDING,), (TO_CLAIM, TO_FINDING))
CALLED_ALIKE: dict[Way, str | None] = {  # the node itself, and those that every claim has and calls by one name
    (): None,
    (TO_CLAIM,): ITSELF,
    (TO_CLAIM, (COV + "operation", True)): ITS_OPERATION,
}
Values = tuple[Term, ...]
Steps = tuple[Triple, ...]
Shows = tuple[Term, Steps]  # a value, and the way from it to what a leaf asks for
Located = tuple[str, Term, Steps, str, Term | None, Steps]
ANY = COV + "any"  # stands for whichever node of a claim it is


@dataclass(frozen=True, eq=False, slots=True)
class Shown:
    """What values of a property, or what is said of a finding, show.

    `hits` are the leaves that are met by them, and `known` those that know a value by them, or are refuted by the
    finding; `met` and `refuted` tell how, by the bit of the leaf.
    """

    hits: int
    known: int
    met: Mapping[int, tuple[Any, ...]]
    refuted: Mapping[int, tuple[Any, ...]]


class Asked(NamedTuple):
    """What a leaf asks of the values of a property: where to go on from them, and what to reach.

    Without a target any value hits, or any that conforms to `within`. A leaf may know a value by another path than
    that by which it is hit.
    """

    bit: int
    onward: Path | None
    target: Term | None = None
    within: Shape | None = None
    hits: bool = True
    known: bool = True


@dataclass(frozen=True, eq=False, slots=True)
class Asks:
    """A leaf that asks a criterion of every node, or of some, at the end of a way."""

    bit: int
    leaf: Criterion
    plan: "Plan"


@dataclass(frozen=True, eq=False, slots=True)
class Property:
    """What is asked of the values of a property, and what they show.

    Of a property that leads from node to node of the claim, `always` stands for whichever nodes it leads to.
    """

    always: Values
    asked: list[Asked] = field(default_factory=list)
    shown: dict[Values, Shown] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Place:
    """What is read at the nodes to which a way within the claim leads."""

    way: Way
    asked: dict[str, Property] = field(default_factory=dict)
    asks: list[Asks] = field(default_factory=list)
    facts: bool = False  # whether leaves ask for facts there


Entry = tuple[Place, Way, str]  # a place, the way to it, and the property that is all of the way, if one is


def way_of(steps: Iterable[Step | BackStep]) -> Way:
    """Return steps along properties as a way."""
    return tuple([(step.predicate, isinstance(step, Step)) for step in steps])


def entry(place: Place, way: Way) -> Entry:
    """Return a place with the way to it."""
    return place, way, way[0][0] if len(way) == 1 and way[0][1] else ""


class Plan:
    """How the leaves at or below some criteria are read."""

    def __init__(self, criteria: Iterable[Criterion], knowledge: Knowledge) -> None:
        roots = tuple(criteria)
        self.knowledge = knowledge
        self.links = knowledge.links
        self.leaves = list({leaf.iri: leaf for root in roots for leaf in root.leaves()}.values())
        self.width = len(self.leaves)
        self.all_leaves = (1 << self.width) - 1
        self.bit = {leaf.iri: 1 << i for i, leaf in enumerate(self.leaves)}
        self.where: dict[str, list[tuple[Place, str]]] = {}  # of each leaf that asks for a value
        self.others: dict[str, tuple[Place, Asks]] = {}  # of each leaf that asks a criterion of other nodes
        self.found: dict[tuple[Values, ...], Shown] = {}
        self.outcomes: dict[tuple[Criterion, int, int, int], Outcome] = {}
        self.masks: dict[Criterion, int] = {}
        self.joins: dict[tuple[str, ...], Criterion] = {}  # by their parts
        self.groups: dict[Criterion, Any] = {}  # what joins of clauses come to
        self.documentable: dict[frozenset[str], Any] = {}  # by the regions of the operation
        self._asking: dict[str, list[Criterion]] = {}  # leaves by the facts that they ask for
        self._met_by = Table(self._asked_or_broader, MANY)
        self._refuted_by = Table(self._asked_or_narrower, MANY)
        self._reached: dict[tuple[int, Term], Reached] = {}
        places: dict[Way, Place] = {}
        inner: dict[str, Plan] = {}
        places.setdefault((), Place(()))
        for leaf in self.leaves:
            self._enter(leaf, places, inner)
        of_claim = [place for place in places.values() if place.way[:1] == (TO_CLAIM,)]
        self.of_claim = tuple(entry(place, place.way[1:]) for place in of_claim)  # with the way from the claim
        self.shared = frozenset(leaf for leaf in self.leaves if not leaf.concept and self._is_of_claim(leaf))
        self.claimed = self.shared.union(leaf for leaf in self.leaves if leaf.concept)
        self.of_claims = {leaf: frozenset((leaf.iri,)) for leaf in self.claimed}  # with the leaves below
        self.repeated: set[Criterion] = set()  # those that several criteria ask for
        self._sorted: set[Criterion] = set()
        for root in roots:
            self._sort(root)
        self.stated: dict[Criterion, tuple[str | None, str]] = {}  # leaves that ask for one property of a known node
        for leaf in self.leaves:
            where = self.where.get(leaf.iri, ())
            if len(where) == 1 and where[0][0].way in CALLED_ALIKE:
                self.stated[leaf] = CALLED_ALIKE[where[0][0].way], where[0][1]
        self.own = tuple(entry(place, place.way) for place in places.values() if place not in of_claim)
        self.backwards = {predicate for way in places for predicate, forwards in way if not forwards}
        self.of_decisions = self._reading_decisions(places.values())
        self.alone: tuple[str, ...] = ()  # the properties that are read, where nothing else is: no way, no finding
        self.witnesses: dict[tuple[object, ...], Any] = {}
        self.by_values: dict[tuple[object, Values | None], Outcome] = {}
        if len(places) == 1 and () in places and not places[()].asks and not places[()].facts:
            self.alone = tuple(places[()].asked)

    def _enter(self, leaf: Criterion, places: dict[Way, Place], inner: dict[str, "Plan"]) -> None:
        """Enter a leaf at the places where it is read."""
        bit = self.bit[leaf.iri]

        def place(way: Way) -> Place:
            return places.setdefault(way, Place(way))

        if leaf.concept:
            self._asking.setdefault(leaf.concept, []).append(leaf)
            for way in FINDINGS:
                place(way).facts = True
        elif leaf.parts:
            part = leaf.parts[0]
            plan = inner.setdefault(part.iri, Plan((part,), self.knowledge))
            (steps,) = branches(leaf.path)
            there = place(way_of(walked(steps, self.links)))
            there.asks.append(Asks(bit, leaf, plan))
            self.others[leaf.iri] = there, there.asks[-1]
        else:
            apart = leaf.known_by is not None
            paths = [(leaf.path, Asked(bit, None, leaf.value, leaf.within, True, not apart))]
            if apart:
                paths.append((leaf.known_by, Asked(bit, None, hits=False)))
            for path, asked in paths:
                for way, last, onward in self._leaving(path):
                    found = asked._replace(onward=onward)
                    always = (ANY,) if last in self.links else ()
                    place(way).asked.setdefault(last, Property(always)).asked.append(found)
                    where = self.where.setdefault(leaf.iri, [])
                    if (place(way), last) not in where:
                        where.append((place(way), last))

    def _reading_decisions(self, places: Iterable[Place]) -> tuple[int, tuple[Entry, ...]]:
        """Return the leaves that ask how lines are decided, and where they are read."""
        mask, found = 0, []
        for place in places:
            asks = [asks for asks in place.asks if asks.plan.of_decisions[0]]
            if DECISION in place.asked or asks:
                decided = {DECISION: place.asked[DECISION]} if DECISION in place.asked else {}
                found.append(entry(Place(place.way, decided, asks), place.way))
                bits = [asked.bit for prop in decided.values() for asked in prop.asked] + [one.bit for one in asks]
                for bit in bits:
                    mask |= bit
        return mask, tuple(found)

    def _sort(self, criterion: Criterion) -> bool:
        """Say whether all leaves of a criterion are read of the claim, but for findings of lines; and keep it."""
        if criterion in self._sorted:
            self.repeated.add(criterion)
            return criterion in self.of_claims
        self._sorted.add(criterion)
        for part in criterion.parts:
            self._sort(part)
        return self._enter_join(criterion)

    def join(self, criterion: Criterion) -> Criterion:
        """Return a join of criteria of the plan: of the same parts the same one, so that what it comes to is shared."""
        key = (criterion.iri, *[part.iri for part in criterion.parts])
        if key not in self.joins:
            self.joins[key] = criterion
            self._enter_join(criterion)
        return self.joins[key]

    def _enter_join(self, criterion: Criterion) -> bool:
        if not criterion.is_leaf and all(part in self.of_claims for part in criterion.parts):
            self.of_claims[criterion] = frozenset(leaf.iri for leaf in criterion.leaves())
        return criterion in self.of_claims

    def _is_of_claim(self, leaf: Criterion) -> bool:
        """Say whether a leaf is read of the claim, and so alike for all its lines."""
        ways = [place.way for place, _ in self.where.get(leaf.iri, ())] or [self.others[leaf.iri][0].way]
        return all(way[:1] == (TO_CLAIM,) and FROM_CLAIM not in way for way in ways)

    def _leaving(self, path: Path | None) -> Iterator[tuple[Way, str, Path | None]]:
        """Yield where a path leaves the claim, for each of its branches: the way there, the property, the rest."""
        for steps in branches(path):
            *inside, last = walked(steps, self.links)
            onward = steps[len(inside) + 1 :]
            yield way_of(inside), last.predicate, Sequence(onward) if onward else None

    # What depends on the knowledge alone, and is found once

    def shown(self, prop: Property, values: Values) -> Shown:
        """Return what the values of a property show."""
        key = prop.always or values
        return prop.shown.get(key) or remember(prop.shown, key, self._shown(prop, key))

    def _shown(self, prop: Property, values: Values) -> Shown:
        met: dict[int, tuple[Shows, ...]] = {}
        refuted: dict[int, tuple[Shows, ...]] = {}
        for asked in prop.asked:
            for found, asks, ends in ((met, asked.hits, self.ends), (refuted, asked.known, self._known)):
                ways = [(value, steps) for value in values for steps in ends(asked, value)] if asks else []
                if ways:
                    found[asked.bit] = (*found.get(asked.bit, ()), *ways)
        return Shown(sum(met), sum(refuted), met, refuted)

    def ends(self, asked: Asked, value: Term) -> Iterator[Steps]:
        """Yield the ways from a value to what a leaf asks for; the shortest first."""
        for end, steps in self.reached(asked, value).items():
            if asked.target in (None, end) and (not asked.within or asked.within.holds(Run(self.knowledge.graph), end)):
                yield steps

    def _known(self, asked: Asked, value: Term) -> Iterable[Steps]:
        return self.reached(asked, value).values()

    def reached(self, asked: Asked, value: Term) -> Reached:
        """Return what a path leads to after it left the claim at a value."""
        if asked.onward is None:
            return {value: ()}
        key = (id(asked.onward), value)
        known = self._reached.get(key)
        if known is None:
            reached = asked.onward.reach(self.knowledge.graph, value)
            kept: Reached = {end: Known(steps) for end, steps in reached.items()}
            known = remember(self._reached, key, kept)
        return known

    def facts_at(self, about: tuple[Values, ...]) -> Shown:
        """Return the fact leaves that a finding meets, and refutes, by its types, concept, status and regions."""
        types, concepts, statuses, _ = about
        met: dict[int, tuple[Located, ...]] = {}
        refuted: dict[int, tuple[Located, ...]] = {}
        if PRESENT in statuses:
            for leaf in chain.from_iterable([self._met_by[str(value)] for value in (*types, *concepts)]):
                if found := tuple(self.present(leaf, *about)):
                    met[self.bit[leaf.iri]] = found
        if ABSENT in statuses:
            for leaf in chain.from_iterable([self._refuted_by[str(value)] for value in concepts]):
                if found := tuple(self.absent(leaf, *about)):
                    refuted[self.bit[leaf.iri]] = found
        return remember(self.found, about, Shown(sum(met), sum(refuted), met, refuted))

    def _asked_or_broader(self, concept: str) -> list[Criterion]:
        """Return the fact leaves that ask for a concept or for what is broader."""
        broader = filter(self.knowledge.ancestors(concept).__contains__, self._asking)
        return [leaf for one in broader for leaf in self._asking[one]]

    def _asked_or_narrower(self, concept: str) -> list[Criterion]:
        """Return the fact leaves that ask for a concept or for what is narrower."""
        above = self.knowledge.ancestors
        return [leaf for one, leaves in self._asking.items() if concept in above(one) for leaf in leaves]

    def present(
        self, leaf: Criterion, types: Values, concepts: Values, statuses: Values, regions: Values
    ) -> Iterator[Located]:
        """Yield how a finding meets a fact leaf: property, value and steps to the concept, region and steps."""
        said = ((predicate, value) for predicate, values in ((TYPE, types), (CONCEPT, concepts)) for value in values)
        predicate, value = next(one for one in said if leaf.concept in self.knowledge.ancestors(str(one[1])))
        steps = self.knowledge.ancestors(str(value))[leaf.concept]
        for region, further in self._around(leaf, regions, self.knowledge.wholes):
            yield predicate, value, steps, PRESENT, region, further

    def absent(
        self, leaf: Criterion, types: Values, concepts: Values, statuses: Values, regions: Values
    ) -> Iterator[Located]:
        """Yield how a finding refutes a fact leaf: it denies that or what is broader, in the region or around it."""
        above = self.knowledge.ancestors(leaf.concept)
        value = next(value for value in concepts if value in above)
        for region, further in self._around(leaf, regions, self.knowledge.parts):
            yield CONCEPT, value, Known(reversed(above[value])), ABSENT, region, further

    def _around(
        self, leaf: Criterion, regions: Values, near: Callable[[str], Mapping[Term, Steps]]
    ) -> Iterator[tuple[Term | None, Steps]]:
        if not leaf.region:
            yield None, ()
            return
        for region in regions:
            steps = near(str(region)).get(leaf.region)
            if steps is not None:
                yield region, steps

    # A state of some leaves: which are met, refuted and open within, side by side in one number

    def state(self, bits: Bits) -> int:
        """Return the bits of leaves as one number."""
        met, refuted, within = bits
        return met | (refuted | within << self.width) << self.width

    def bits(self, state: int) -> Bits:
        """Return the bits of which a state is made."""
        width, all_leaves = self.width, self.all_leaves
        return Bits(state & all_leaves, state >> width & all_leaves, state >> 2 * width)

    def states(self, criteria: Iterable[Criterion]) -> int:
        """Return what of a state is of the leaves at or below some criteria."""
        mask = self.mask(criteria)
        return self.state(Bits(mask, mask, mask))

    def mask(self, criteria: Iterable[Criterion]) -> int:
        """Return the bits of the leaves at or below some criteria."""
        return sum(self.bit[iri] for iri in {leaf.iri for criterion in criteria for leaf in criterion.leaves()})

    def outcome(self, criterion: Criterion, bits: Bits) -> Outcome:
        """Return what a criterion comes to."""
        mask = self.masks.get(criterion)
        if mask is None:
            mask = self.masks[criterion] = self.mask((criterion,))
        met, refuted, within = bits
        key = (criterion, met & mask, refuted & mask, within & mask)
        known = self.outcomes.get(key)
        return known or remember(self.outcomes, key, self._outcome(criterion, bits, mask))

    def _outcome(self, criterion: Criterion, bits: Bits, bit: int) -> Outcome:
        if not criterion.is_leaf:
            return joined(criterion, (self.outcome(part, bits) for part in criterion.parts))
        met, refuted = bool(bits.met & bit), bool(bits.refuted & bit)
        field = "" if met or refuted else criterion.parts[0].field if bits.within & bit else criterion.field
        silent = not (met or refuted or criterion.parts)
        return Outcome(criterion, met, refuted, field=field, silent=silent)


_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


def remember(memo: dict[_K, _V], key: _K, value: _V, many: int = MANY) -> _V:
    """Keep what was found; what was found before is forgotten when it is too much."""
    if len(memo) >= many:
        memo.clear()
    memo[key] = value
    return value


def plan_of(knowledge: Knowledge) -> Plan:
    """Return how all clauses and edits of the knowledge are read."""

    def compute() -> Plan:
        documents = (*knowledge.policies.values(), *knowledge.guidelines)
        editions = [edition for document in documents for edition in document.editions]
        return plan_for([clause for edition in editions for clause in edition.clauses], knowledge)

    return knowledge.remember(("plan",), compute)


def plan_for(clauses: list[Clause], knowledge: Knowledge) -> Plan:
    """Return how some clauses are read, with the edits of all payers, and nothing else."""
    restoring = {iri for clause in clauses for iri in clause.restored_by}
    restorers = [clause.criterion for clause in clauses if clause.iri in restoring]  # a line is asked for these twice
    concerns = [clause.concerns for clause in clauses if clause.concerns]
    lines = [knowledge.criteria[iri] for iri in (CONTINUOUS, BASE) if iri in knowledge.criteria]
    asked = [*(clause.criterion for clause in clauses), *restorers, *(edit.criterion for edit in knowledge.edits)]
    return Plan([*asked, *lines, *concerns], knowledge)
