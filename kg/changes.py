"""Changes: what could be documented of a line, and to which decision it would lead.

What could be documented is a fact as present or as absent, where a leaf asks for it, or a field of the claim.
Facts imply each other, so an *atom* is known by all the leaves that it would make met or refuted: a present fact
meets what asks for it or for a broader one, an absent one refutes what asks for it or for a narrower one.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from itertools import product
from operator import or_
from typing import NamedTuple

from kg.criteria import Criterion
from kg.docket import CONDITIONED, COVERED, DOCUMENTED, NOT_EXCLUDED, Case, Docket
from kg.lazy import Table, lazy
from kg.outcome import Outcome
from kg.plan import BASE, MANY, Plan, remember
from kg.sets import NONE, NOTHING_MORE, Sets, all_of, any_of, members, sets_for
from kg.terms import COV, local_name

MANY_FACTS = 8  # open facts of a line for review of which every completion is tried
OPERATED_REGION = COV + "OperatedRegion"
PRESENT, ABSENT, MET, NOT_MET = "present", "absent", "met", "not-met"


class Atom(NamedTuple):
    """A fact or a field of the claim, and what the record would say of it."""

    name: str
    status: str
    region: str
    leaf: str
    is_field: bool


class Change(NamedTuple):
    """Facts that would change a decision if they were documented."""

    to: str
    facts: tuple[Atom, ...]


class Documentable:
    """All that the record of an operation in some regions could say that some leaf asks for, each as a bit."""

    def __init__(self, plan: Plan, operated: frozenset[str]) -> None:
        self.plan = plan
        self.knowledge = plan.knowledge
        self.operated = operated
        self.atoms: list[Atom] = []
        self.leaves: list[list[Criterion]] = []  # those that ask for each atom by its own name
        self.brings: list[tuple[int, int]] = []  # the leaves that each atom makes met, and refuted
        self.negative = 0  # the atoms that make leaves refuted
        self.found: dict[tuple[Outcome, bool, int], Sets] = {}
        self.open = Table(self._open, MANY)
        self.recorded = Table(self._recorded, MANY)
        self._enter_leaves()
        self.ways = {(leaf.iri, positive): 0 for leaf in plan.leaves for positive in (True, False)}
        self.asking = {leaf.iri: 0 for leaf in plan.leaves if leaf.concept or leaf.field or leaf.parts}
        for i, (brings, asking) in enumerate(zip(self.brings, self.leaves, strict=True)):
            for positive, brought in zip((True, False), brings, strict=True):
                for place in members(brought):
                    self.ways[plan.leaves[place].iri, positive] |= 1 << i
            for leaf in asking:
                if leaf.iri in self.asking:
                    self.asking[leaf.iri] |= 1 << i
        self.of_base = self.ways.get((BASE, True), 0) | self.ways.get((BASE, False), 0)
        self.denied = [
            union(self.ways[plan.leaves[place].iri, False] for place in members(met)) for met, _ in self.brings
        ]  # the atoms that deny what each makes met

    def _open(self, outcome: Outcome) -> tuple[int, int, int]:
        """Return the atoms that settle what is open of an outcome, those asked for, and those that contradict it."""
        settle = asked = against = 0
        if outcome.criterion.is_leaf:
            iri, concept = outcome.criterion.iri, outcome.criterion.concept
            met, refuted = self.ways[iri, True], self.ways[iri, False]
            if not (outcome.met or outcome.refuted):
                return met | refuted, self.asking.get(iri, 0), 0
            return 0, 0, (refuted if concept and outcome.met else 0) | (met if concept and outcome.refuted else 0)
        for part in outcome.parts:
            settles, asks, denies = self.open[part]
            settle |= settles
            asked |= asks
            against |= denies
        return settle, asked, against

    def _recorded(self, outcome: Outcome) -> tuple[Atom, ...]:
        """Return the facts that the record was shown not to hold."""
        leaf = outcome.criterion
        if not leaf.is_leaf:
            return tuple([atom for part in outcome.parts for atom in self.recorded[part]])
        name = local_name(leaf.concept)
        if not outcome.refuted or outcome.met or name not in self.knowledge.facts:
            return ()
        return (Atom(name, PRESENT, leaf.region, leaf.iri, False),)

    def _enter_leaves(self) -> None:
        """Enter what would make each leaf met, and refuted."""
        places: dict[tuple[str, bool, int], int] = {}
        asking: dict[str, list[Criterion]] = {}
        for leaf in self.plan.leaves:
            if leaf.concept:
                asking.setdefault(leaf.concept, []).append(leaf)
        broader: dict[str, list[Criterion]] = {}  # by a concept, the leaves that ask for it or for a broader one
        narrower: dict[str, list[Criterion]] = {}
        for concept, leaves in asking.items():
            for broad in asking.keys() & self.knowledge.ancestors(concept).keys():
                broader.setdefault(concept, []).extend(asking[broad])
                narrower.setdefault(broad, []).extend(leaves)
        for leaf in self.plan.leaves:
            self._enter(leaf, True, broader.get(leaf.concept, ()), places)
            self._enter(leaf, False, narrower.get(leaf.concept, ()), places)

    def _enter(
        self, leaf: Criterion, positive: bool, others: Iterable[Criterion], places: dict[tuple[str, bool, int], int]
    ) -> None:
        """Enter what would make a leaf met, or refuted: one atom for facts that say the same."""
        if leaf.concept:
            name = local_name(leaf.concept)
            if name not in self.knowledge.facts:
                return
            brings = sum(self.plan.bit[other.iri] for other in others if self._reaches(leaf, other, positive))
            atom = Atom(name, PRESENT if positive else ABSENT, leaf.region, leaf.iri, False)
        else:
            brings = self.plan.bit[leaf.iri]
            atom = Atom("", MET if positive else NOT_MET, "", leaf.iri, True)
        place = places.setdefault((atom.name, positive, brings), len(self.atoms))
        if place < len(self.atoms):
            self.leaves[place].append(leaf)
            return
        if not positive:
            self.negative |= 1 << place
        self.atoms.append(atom)
        self.leaves.append([leaf])
        self.brings.append((brings, 0) if positive else (0, brings))

    def _reaches(self, stated: Criterion, asked: Criterion, positive: bool) -> bool:
        """Say whether the presence of a fact where one leaf asks for it is one where another asks; or its absence."""
        if not asked.region or stated.region == asked.region:
            return True
        where = self.operated if stated.region in ("", OPERATED_REGION) else {stated.region}
        if asked.region == OPERATED_REGION:
            return stated.region in ("", OPERATED_REGION) or stated.region in self.operated
        near = self.knowledge.wholes if positive else self.knowledge.parts
        return any(asked.region in near(region) for region in where)

    def brought(self, one: int) -> tuple[int, int]:
        """Return the leaves that a set of atoms makes met, and refuted."""
        met = refuted = 0
        for i in members(one):
            yes, no = self.brings[i]
            met |= yes
            refuted |= no
        return met, refuted

    def opposite(self, place: int) -> int | None:
        """Return the place of the absence of what an atom says is present."""
        leaf = self.leaves[place][0]
        found = (i for i in members(self.ways[leaf.iri, False]) if leaf in self.leaves[i])
        return next(found, None)

    def consistent(self, one: int) -> bool:
        """Say whether the record could state all atoms of a set at once: none that another denies."""
        positive = one & ~self.negative
        if positive and positive != one:
            for i in members(positive):
                if one & self.denied[i]:
                    return False
        return True


Named = tuple[int, Atom]  # with the place of the leaf that asks for it


class Asked:
    """What could be documented of lines of one kind, and which of their leaves ask for it."""

    def __init__(self, documentable: Documentable, docket: Docket) -> None:
        self.documentable = documentable
        self.docket = docket
        self.atoms = Table(self._atoms, MANY)
        self.named = Table(self._named, MANY)
        self.present = Table(self._present, MANY)

    @staticmethod
    def _present(named: Named) -> Named:
        place, atom = named
        return place, atom if atom.is_field else atom._replace(status=PRESENT)

    def _named(self, i: int) -> tuple[int, Named, Named]:
        """Return an atom with the leaf of this line that asks for it: its bit, what it asks for, and what within it."""
        atom, asking, order = self.documentable.atoms[i], self.documentable.leaves[i], self.docket.order
        # else it is of a base line, or of a guideline
        leaf = next((leaf for leaf in asking if leaf.iri in order), asking[0])
        place, name = order.get(leaf.iri, -1), atom.name or leaf.field
        deeper = atom.name or (leaf.parts[0].field if leaf.parts else "") or name
        named = atom._replace(leaf=leaf.iri, region=leaf.region, name=name)
        return self.documentable.plan.bit[leaf.iri], (place, named), (place, named._replace(name=deeper))

    def names(self, one: int, within: int) -> list[Named]:
        """Return the atoms of a set, with the places of the leaves that ask for them."""
        named = self.named
        return [deeper if within & bit else shallow for bit, shallow, deeper in [named[i] for i in members(one)]]

    def _atoms(self, key: tuple[int, int]) -> tuple[Atom, ...]:
        return tuple([atom for _, atom in sorted(self.names(*key))])


Pending = list["Changes | None"]  # of the lines to which one is added


class Changes:
    """What could be documented of a case under a posture, and to which decision it would lead.

    `verdict` decides a supposed case. `pending` are those of the base lines that are not settled, for a line added to
    others; None stands for one of which nothing can be said. What may turn out is more than what could be documented:
    a leaf that names no field is one thing or the other, too.
    """

    def __init__(
        self,
        case: Case,
        advisory: bool,
        verdict: Callable[[Case], str],
        pending: Pending | None = None,
        turning_out: bool = False,
    ) -> None:
        self.case = case
        self.docket = case.docket
        self.verdict = verdict
        self.pending = pending
        self.advisory = advisory
        self.asked = asked_of(case)
        self.documentable = self.asked.documentable
        self.agreed = not case.bits.met & case.bits.refuted  # then what is refuted will not be met
        self.supposes_support = advisory and not case.recommended
        self.universe = self._universe(turning_out)

    def _universe(self, turning_out: bool) -> int:
        """Return the atoms of open leaves that no documented fact contradicts.

        Where a guideline could support the line, what it asks for is among them.
        """
        found = self.documentable.open
        bearing = [found[group.outcome] for group in self.case.groups.values()]
        if self.supposes_support:
            bearing += [found[outcome] for outcome in self._recommending()]
        universe = against = 0
        for settling, asked, denied in bearing:
            universe |= settling if turning_out else asked
            against |= denied
        return universe & ~against

    @lazy
    def approving(self) -> Sets:
        """Return the minimal sets of facts that would approve the line under the posture."""
        return self._leading(self._approve, self._to_approve, "approve")

    @lazy
    def denying(self) -> Sets:
        """Return the minimal sets of facts that would deny the line under the posture."""
        return self._leading(self._deny, self._to_deny, "deny")

    def _leading(self, ways_of: Callable[[Case], Sets], ways: Sets, decision: str) -> Sets:
        """Return the sets by which a line is decided so with the unverified clauses, and without them (rule 16)."""
        if self.docket.unverified and self.docket.verified:
            ways = all_of((ways, ways_of(self.case.verified())), self.documentable.consistent)
        if not self.case.is_doubtful and not (self.advisory and decision == "approve"):
            return ways
        return tuple([one for one in ways if self.leads_to(one, decision)])

    @lazy
    def _to_approve(self) -> Sets:
        return self._approve(self.case)

    @lazy
    def _to_deny(self) -> Sets:
        return self._deny(self.case)

    def _approve(self, case: Case) -> Sets:
        groups, consistent = case.groups, self.documentable.consistent
        if COVERED not in groups:
            return NONE
        ways = all_of([self.sets(one, True) for one in case.root.parts if not one.met], consistent)
        if self.advisory and not case.root.refuted:
            supported = NOTHING_MORE
            if self.supposes_support:
                supported = any_of([self.sets(outcome, True) for outcome in self._recommending()])
            covered = [self.sets(groups[name].outcome, True) for name in (COVERED, CONDITIONED) if name in groups]
            ways = any_of((ways, all_of((supported, *covered), consistent)))
        return ways

    def _deny(self, case: Case) -> Sets:
        return any_of([self.sets(one, False) for one in case.root.parts if one.criterion.iri != DOCUMENTED])

    def _recommending(self) -> list[Outcome]:
        return [self.docket.plan.outcome(criterion, self.case.bits) for criterion in self.docket.recommending]

    def might_turn(self, approved: bool) -> bool:
        """Say whether some facts would send the line at least to a person: what else they lead to is in doubt."""
        if approved:
            return any(self._to_deny)
        readings = (self.case, self.case.verified()) if self.docket.unverified else (self.case,)
        return any(one for case in readings for one in self._approve(case))

    def bearing(self) -> list[Named]:
        """Return what could be shown that bears on the decision, be it only that a person must look."""
        return self.names(union((*self._to_approve, *self._to_deny)) & ~self.documentable.negative)

    def leads_to(self, one: int, decision: str) -> bool:
        """Say whether the line would be decided so with a set of facts, all that they imply included."""
        met, refuted = self.documentable.brought(one)
        for positive in (True, False) if self.pending else ():
            if any(base & one == base for base in self._based(self.pending or [], positive)):
                met, refuted = (met | self._base, refuted) if positive else (met, refuted | self._base)
        bits = self.case.bits
        supposed = bits._replace(met=bits.met | met, refuted=bits.refuted | refuted)
        return self.verdict(self.case.supposing(supposed)) == decision

    @property
    def _base(self) -> int:
        return self.docket.plan.bit[BASE]

    def unanimous(self, decision: str) -> bool:
        """Say whether the line is decided so however its open facts turn out; not known of more than `MANY_FACTS`."""
        able = self.documentable
        pairs = [(i, able.opposite(i)) for i in members(self.universe & ~able.negative)]
        if len(pairs) > MANY_FACTS or self.pending:
            return False
        for chosen in product(*pairs):
            one = sum(1 << i for i in chosen if i is not None)
            if able.consistent(one) and not self.leads_to(one, decision):
                return False
        return True

    def settling(self, caveats: Iterable[Outcome]) -> list[Named]:
        """Return the facts that would settle the clauses that an approval leaves open, as if they were present."""
        excluded = self.case.groups[NOT_EXCLUDED].caveats
        asked = union([one for part in caveats for one in self.sets(part, part not in excluded)])
        return [self.asked.present[named] for named in self.names(asked)]

    def recording(self) -> list[Named]:
        """Return the facts that the record was shown not to hold: it can still be completed."""
        documented, order = self.case.groups.get(DOCUMENTED), self.docket.order
        atoms = self.documentable.recorded[documented.outcome] if documented else ()
        return [(order[atom.leaf], atom) for atom in atoms]

    def sets(self, outcome: Outcome, positive: bool) -> Sets:
        """Return the minimal sets of atoms that make a criterion met, or refuted."""
        if outcome.met if positive else outcome.refuted:
            return NOTHING_MORE
        if (outcome.met or outcome.refuted) and self.agreed:
            return NONE
        able = self.documentable
        relevant = able.open[outcome][0]
        if self.pending is not None and relevant & able.of_base:
            return sets_for(outcome, positive, self.of_leaf, able.consistent, self.sets)
        key = (outcome, positive, self.universe & relevant)
        known = able.found.get(key)
        if known is None:
            known = remember(able.found, key, sets_for(outcome, positive, self.of_leaf, able.consistent, self.sets))
        return known

    def of_leaf(self, leaf: Outcome, positive: bool) -> Sets:
        """Return what would make a leaf met or refuted that is not so: any of some atoms, or nothing that could."""
        if leaf.met or leaf.refuted:
            return NONE
        if self.pending is not None and leaf.criterion.iri == BASE:
            return self._based(self.pending, positive)
        return tuple(1 << i for i in members(self.documentable.ways[leaf.criterion.iri, positive] & self.universe))

    def _based(self, pending: "Pending", positive: bool) -> Sets:
        """Return what would approve one base line, or deny them all."""
        if positive:
            return any_of([base.approving for base in pending if base is not None])
        return all_of([base.denying if base is not None else NONE for base in pending], self.documentable.consistent)

    def names(self, one: int) -> list[Named]:
        """Return the atoms of a set, with the places of the leaves that ask for them."""
        return self.asked.names(one, self.case.bits.within)

    def atoms(self, one: int) -> tuple[Atom, ...]:
        """Return the atoms of a set, in the order of the leaves that ask for them."""
        return self.asked.atoms[one, self.case.bits.within]


def union(sets: Iterable[int]) -> int:
    """Return what occurs in some of the sets."""
    return reduce(or_, sets, 0)


def asked_of(case: Case) -> Asked:
    """Return what could be documented of such lines, of operations in the regions of a case."""
    known: Asked | None = case.docket.told.get(case.operated)
    return known or remember(case.docket.told, case.operated, Asked(documentable_of(case), case.docket))


def documentable_of(case: Case) -> Documentable:
    """Return what could be documented of operations in the regions of a case."""
    plan = case.docket.plan
    known: Documentable | None = plan.documentable.get(case.operated)
    return known or remember(plan.documentable, case.operated, Documentable(plan, case.operated))


def has_both_sides(case: Case) -> bool:
    """Say whether some open fact could approve the line and its absence too, or deny it."""
    positive, negative = both_sides(case.docket)
    known = case.bits.met | case.bits.refuted
    return bool(positive & ~known) and bool(negative & ~known)


def both_sides(docket: Docket) -> tuple[int, int]:
    """Return the leaves that count for a line and those that count against it, where these may be opposites."""
    known = docket.told.get("sides")
    if known is None:
        sides: tuple[list[Criterion], list[Criterion]] = ([], [])
        _sort(docket.root, True, sides)
        ancestors, bit = docket.plan.knowledge.ancestors, docket.plan.bit

        def alike(a: Criterion, b: Criterion) -> bool:
            return a is b or bool(
                a.concept and (a.concept in ancestors(b.concept) or b.concept in ancestors(a.concept))
            )

        pairs = [(a, b) for a in sides[0] for b in sides[1] if alike(a, b)]
        known = docket.told["sides"] = (
            sum(bit[iri] for iri in {a.iri for a, _ in pairs}),
            sum(bit[iri] for iri in {b.iri for _, b in pairs}),
        )
    return known


def _sort(criterion: Criterion, positive: bool, sides: tuple[list[Criterion], list[Criterion]]) -> None:
    if criterion.is_leaf:
        sides[not positive].append(criterion)
    for i, part in enumerate(() if criterion.is_leaf else criterion.parts):
        turned = criterion.kind in ("none", "not") or (criterion.kind == "unless" and i > 0)
        _sort(part, positive != turned, sides)


def always(sets: Sets, documentable: Documentable) -> bool:
    """Say whether one of the sets comes true however the open facts turn out.

    A fact is present or absent in the end; so where both occur, both must lead to a set that holds.
    """
    if 0 in sets:
        return True
    occurring = union(sets)
    for i in members(occurring & ~documentable.negative):
        opposite = documentable.opposite(i)
        if opposite is not None and occurring >> opposite & 1:
            return all(always(_given(sets, true, documentable), documentable) for true in (i, opposite))
    return False


def _given(sets: Sets, atom: int, documentable: Documentable) -> Sets:
    """Return what is left of sets where an atom is true: it need not be shown, and what contradicts it cannot be."""
    left = (one & ~(1 << atom) for one in sets if documentable.consistent(one | 1 << atom))
    return tuple(dict.fromkeys(left))
