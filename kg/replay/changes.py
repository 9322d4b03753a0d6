"""Replay of the changes: what could be documented of a line, and to which decision it would lead.

For `kg.verify` alone. All least sets of facts are found, by trying (`kg.replay.sets`), so that none is told that
promises too much and none is left out. Bounded are: the sets that are told (`LISTED`); the trying (`TRIED` looks:
enough for ten open leaves; of more, the sets are those that a walk of the criteria finds); and the completions of the
open facts of a line for review (`MANY_FACTS`; of more, it is not decided regardless of them).
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain, product

from kg.replay.book import BASE, CONDITIONED, COVERED, DOCUMENTED, NOT_EXCLUDED, Book
from kg.replay.criteria import OPEN, Criterion, sides
from kg.replay.lines import APPROVE, DENY, NOT_BILLABLE, PEND, REVIEW, Case, Verdict, doubts
from kg.replay.record import Atom, Facts, Record
from kg.replay.sets import Sets, least, least_sets, of_each
from kg.terms import local_name

MANY_FACTS = 8  # open facts of a line for review of which every completion is tried


class Changes:
    """What could be documented of a line under a posture, and of the base lines to which it is added."""

    def __init__(self, verdict: Verdict, book: Book, record: Record) -> None:
        self.verdict, self.case, self.posture = verdict, undecided(verdict), verdict.posture
        self.book, self.record = book, record
        self.bases = [Changes(base, book, record) for base in verdict.bases]
        self.supposes_support = self.posture == "advisory" and not self.case.is_supported
        self.universe = self._universe()
        self.leading = cache(self._leading)
        self.sets = cache(self._sets)

    def _universe(self) -> frozenset[int]:
        """Return what the record could say of open leaves that no known fact contradicts."""
        leaves = list(self.case.leaves.values())
        if self.supposes_support:
            leaves += chain.from_iterable(criterion.leaves() for criterion in self.case.recommending)
        found: set[int] = set()
        for leaf in leaves:
            if self.case.bits(leaf) == OPEN and (leaf.concept or leaf.field or leaf.parts):
                found |= {i for i, asked in enumerate(self.record.asked) if leaf in asked}
        for leaf in leaves:
            for positive, known in zip((False, True), self.case.bits(leaf), strict=True):
                found -= {*self.record.ways[leaf.iri, positive]} if known and leaf.concept else set()
        return frozenset(found)

    @property
    def pends(self) -> bool:
        """Say whether the line waits for facts."""
        return self.verdict.decision == PEND or is_unproven(self.verdict)

    @property
    def is_uncovered(self) -> bool:
        """Say whether the line is for review since clauses mention it, but none that covers."""
        return self.verdict.decision == REVIEW and self.case.is_mentioned and COVERED not in self.case.groups

    # What leads where

    def _leading(self, to: str) -> Sets:
        """Return the least sets by which the line would be decided so, by every reading that rule 16 asks for."""
        goal, positive = self.goal(to, self.case)
        if self.case.unverified and self.fewer.is_mentioned:
            both = (goal, self.goal(to, self.fewer)[0])
            goal = Criterion("", "and" if positive else "or", "", parts=both)
        return [facts for facts in self.sets(goal, positive) if self.leads_to(facts, to)]

    @property
    def fewer(self) -> Case:
        """Return the case as if the unverified clauses were not written."""
        return self.case.verified(self.book)

    def goal(self, to: str, case: Case) -> tuple[Criterion, bool]:
        """Return the side of a criterion that decides a line so, as far as clauses go."""
        groups = {group.iri: group for group in case.root.parts}
        if to == DENY:
            defeating = tuple(group for iri, group in groups.items() if iri != DOCUMENTED)
            return Criterion("", "and", "", parts=defeating), False
        if self.posture != "advisory" or COVERED not in groups or any(refuted for _, refuted in case.groups.values()):
            return case.root, True
        recommended = Criterion("", "or", "", parts=tuple(case.recommending))
        support = (recommended,) if self.supposes_support else ()
        covered = tuple(groups[iri] for iri in (COVERED, CONDITIONED) if iri in groups)
        supported = Criterion("", "and", "", parts=(*support, *covered))
        return Criterion("", "or", "", parts=(case.root, supported)), True

    def leads_to(self, facts: Facts, to: str) -> bool:
        """Say whether the line would be decided so with some facts, all that they imply included."""
        case = self.supposed(facts)
        return to == (REVIEW if doubts(case, self.posture, self.book) else case.settled(self.posture))

    def supposed(self, facts: Facts) -> Case:
        """Return the line with some facts more."""
        brought = self.record.brought(facts)
        if self.bases and BASE not in brought:
            approved, denied = (any(one <= facts for one in self.of_bases(to)) for to in (APPROVE, DENY))
            brought[BASE] = approved, denied
        bits = {}
        for leaf in (*self.case.leaves.values(), *self.case.of_guidance.values()):
            if leaf.iri in brought:
                known, more = self.case.bits(leaf), brought[leaf.iri]
                bits[leaf.iri] = known[0] or more[0], known[1] or more[1]
        return self.case.supposing(bits)

    def of_bases(self, decision: str) -> Sets:
        """Return what would approve one base line that pends, or deny all that are not denied.

        One for review because nothing covers it is denied by what establishes an exclusion; any other is a person's.
        """
        if decision == APPROVE:
            return least(chain.from_iterable(base.leading(APPROVE) for base in self.bases if base.pends))
        left = [base for base in self.bases if base.pends or base.verdict.decision not in (DENY, NOT_BILLABLE)]
        if not all(base.pends or base.is_uncovered for base in left):
            return []
        return of_each((base.leading(DENY) for base in left), self.record.is_consistent)

    def _sets(self, criterion: Criterion, positive: bool) -> Sets:
        """Return the least sets of facts that bring a side of a criterion about."""
        return least_sets(criterion, positive, cache(self.of_leaf), self.record.is_consistent)

    def of_leaf(self, leaf: Criterion, positive: bool) -> Sets:
        """Return what would make a leaf met or refuted: nothing more, any of some facts, or nothing that could."""
        bits = self.case.bits(leaf)
        if bits[0 if positive else 1]:
            return [frozenset()]
        if any(bits):
            return []
        if self.bases and leaf.iri == BASE:
            return self.of_bases(APPROVE if positive else DENY)
        return [frozenset({i}) for i in self.record.ways[leaf.iri, positive] if i in self.universe]

    # Every completion of the open facts

    def is_unanimous(self, decision: str) -> bool:
        """Say whether the line is decided so however its open facts turn out; not known of more than `MANY_FACTS`."""
        pairs = [(i, self.record.opposite(i)) for i in sorted(self.universe) if self.record.is_positive(i)]
        if len(pairs) > MANY_FACTS or any(base.pends for base in self.bases):
            return False
        completions = (frozenset(i for i in chosen if i is not None) for chosen in product(*pairs))
        return all(self.leads_to(one, decision) for one in completions if self.record.is_consistent(one))

    # What is told

    def changes(self) -> Iterator[tuple[str, list[Atom]]]:
        """Yield the sets of facts that would secure, approve or deny the line."""
        if self.verdict.decision in (NOT_BILLABLE, REVIEW) or self.verdict.is_regardless:
            return
        found: list[tuple[str, Sets]] = []
        excluded = self.case.group(NOT_EXCLUDED)
        is_open = not self.case.bits(self.case.root)[0] and not self.case.groups[NOT_EXCLUDED][0]
        if self.verdict.decision == APPROVE and is_open and excluded:
            found.append(("secured", self.sets(excluded, True)))
        if self.verdict.decision in (PEND, DENY):
            found.append((APPROVE, self.leading(APPROVE)))
        if self.verdict.decision in (PEND, APPROVE):
            found.append((DENY, self.leading(DENY)))
        for to, sets in found:
            yield from ((to, self.told(one)) for one in sets if one)

    def missing(self) -> list[Atom]:
        """Return the open facts that bear on a decision that is not settled by what is known."""
        case, decision = self.case, self.verdict.decision
        if decision in (NOT_BILLABLE, REVIEW) or self.verdict.is_regardless:
            return []
        if decision == DENY and (self.posture != "final" or case.is_defeated):
            return []
        if decision == APPROVE:
            excluded = case.group(NOT_EXCLUDED)
            within = excluded.parts if excluded else ()
            settling = [self.sets(part, part not in within) for part in self.verdict.caveats]
            found = {_asked(atom) for sets in settling for one in sets for atom in self.told(one)}
        else:
            bearing = [self.sets(*self.goal(to, case)) for to in (APPROVE, DENY)]
            found = {atom for sets in bearing for one in sets for atom in self.told(one) if atom.is_positive}
        if decision == PEND:
            found |= set(self.completing())
        return sorted(found, key=self.order)

    def completing(self) -> Iterator[Atom]:
        """Yield the facts that the record was shown not to hold: it can still be completed."""
        documented = self.case.group(DOCUMENTED)
        for leaf in documented.leaves() if documented else ():
            name = local_name(leaf.concept)
            if self.case.bits(leaf) == (False, True) and name in self.book.facts:
                yield Atom(name, "present", leaf.region, leaf.iri, False)

    def order(self, atom: Atom) -> tuple[int, Atom]:
        """Return where a fact stands among others: by the leaf of the line that asks for it."""
        leaves = list(self.case.leaves)
        return (leaves.index(atom.leaf) if atom.leaf in leaves else -1), atom

    def told(self, facts: Iterable[int]) -> list[Atom]:
        """Return facts as this line asks for them, in the order of its leaves."""
        return sorted(map(self._named, facts), key=self.order)

    def _named(self, place: int) -> Atom:
        asking = self.record.asked[place]
        leaf = next((leaf for leaf in asking if leaf.iri in self.case.leaves), asking[0])
        atom = self.record.atoms[place]
        field = "" if leaf.concept else field_of(self.case, leaf) or leaf.field
        return atom._replace(leaf=leaf.iri, region=leaf.region, name=atom.name or field)

    def is_decided_regardless(self) -> bool:
        """Say whether every completion of the open facts gives this decision: no document is worth asking for."""
        if self.verdict.is_regardless:
            return True
        if self.verdict.decision == REVIEW and self.verdict.because == (BASE,):  # a base line is for review
            settled = (DENY, NOT_BILLABLE, REVIEW)
            own = (group for group in self.case.root.parts if group.iri not in (COVERED, DOCUMENTED))
            return not any(self.sets(group, False) for group in own) and all(
                base.verdict.decision in settled and base.is_decided_regardless() for base in self.bases
            )
        if self.verdict.decision == REVIEW:
            return not self.case.is_mentioned or self.is_unanimous(REVIEW)
        if self.verdict.decision not in (APPROVE, DENY) or any(self.changes()):
            return False
        if self.case.is_defeated and self.posture != "final":
            return True
        other = DENY if self.verdict.decision == APPROVE else APPROVE  # to which facts may lead, or to a person
        is_read_twice = other == APPROVE and self.case.unverified and self.fewer.is_mentioned
        readings = (self.case, self.fewer) if is_read_twice else (self.case,)
        return not any(one for case in readings for one in self.sets(*self.goal(other, case)))


def is_unproven(verdict: Verdict) -> bool:
    """Say whether a line is denied for no more than what is undocumented, which `final` counts against it."""
    return verdict.posture == "final" and verdict.decision == DENY and not verdict.case.is_defeated


def undecided(verdict: Verdict) -> Case:
    """Return a line as it is while a base line that is denied can still be proven."""
    case, base = verdict.case, verdict.case.leaves.get(BASE)
    is_refuted = base is not None and case.bits(base) == (False, True)
    return case.supposing({BASE: OPEN}) if is_refuted and any(map(is_unproven, verdict.bases)) else case


def _asked(atom: Atom) -> Atom:
    """Return a fact as if it were present: how it turns out is what is asked."""
    return atom if atom.is_field else atom._replace(status="present")


def field_of(case: Case, leaf: Criterion) -> str:
    """Return the field of the claim that would settle an open leaf: its own, or what it asks of the levels known."""
    if leaf.iri not in case.leaves and leaf.iri not in case.of_guidance:
        return leaf.field
    return case.reading.field(leaf, case.node) if case.bits(leaf) == OPEN else ""


def regardless(case: Case, posture: str, record: Record, book: Book) -> str:
    """Return the decision to which every completion of the open facts of a line leads, if there is one.

    An open leaf that counts only for the line, or only against it, is completed in the way that would defeat the
    answer; leaves that count for it and whose like counts against it, in every consistent way.
    """
    signs: dict[str, set[bool]] = {}
    leaves: dict[str, Criterion] = {}
    for leaf, sign in _signed(case.root, True):
        if case.bits(leaf) == OPEN:
            signs.setdefault(leaf.iri, set()).add(sign)
            leaves[leaf.iri] = leaf
    within = signs.items()
    torn = [
        leaf
        for leaf in leaves.values()
        if {sign for iri, own in within if record.are_alike(leaf, leaves[iri]) for sign in own} == {True, False}
    ]
    for answer, helps in ((DENY, True), (APPROVE, False)) if torn else ():
        rest = {iri: (sign == helps, sign != helps) for iri, (sign, *_) in within if leaves[iri] not in torn}
        if _always(case.supposing(rest), posture, record, book, torn, answer, frozenset()):
            return answer
    return ""


def _always(
    case: Case, posture: str, record: Record, book: Book, torn: list[Criterion], answer: str, stated: Facts
) -> bool:
    """Say whether every consistent completion of some leaves leads to an answer; what does so early, does so always.

    What only unverified clauses decide early is for a person, unless the others come to it in the end.
    """
    if case.is_defeated or case.bits(case.root)[0] or not torn:
        if case.settled(posture) != answer:
            return False
        if not doubts(case, posture, book):
            return True
        if not torn:
            return False
    leaf, *others = torn
    for bits in ((True, False), (False, True)):
        said = stated | record.own(leaf, bits[0])
        completed = case.supposing({leaf.iri: bits})
        if record.is_consistent(said) and not _always(completed, posture, record, book, others, answer, said):
            return False
    return True


def _signed(criterion: Criterion, positive: bool) -> Iterator[tuple[Criterion, bool]]:
    """Yield the leaves below a criterion, each with whether it counts for it or against it."""
    if criterion.is_leaf:
        yield criterion, positive
        return
    for part, side in sides(criterion, positive)[1]:
        yield from _signed(part, side)
