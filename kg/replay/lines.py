"""Replay of the decisions: what the clauses of an edition come to for a line, by the decision rules.

For `kg.verify` alone, as `kg.replay.reading` is, from which it takes the statuses of criteria.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import NamedTuple

from kg.replay.book import (
    BASE,
    CONDITIONED,
    COVERED,
    DOCUMENTED,
    EXCLUSIONS,
    GROUPS,
    NOT_EXCLUDED,
    STANCES,
    Book,
    Clause,
)
from kg.replay.criteria import Bits, Criterion, joined, read_criterion
from kg.replay.reading import Reading
from kg.replay.sets import Sets, walked
from kg.terms import COV

APPROVE, DENY, PEND, NOT_BILLABLE, REVIEW = "approve", "deny", "pend", "not-billable", "review"
POSTURES = ("payer", "advisory", "final")
UNLESS = "-unless-restored"
MAX_CONFLICTS = 8  # readings of conflicting leaves are tried one by one; with more, a person must look


@dataclass(frozen=True, eq=False)
class Case:
    """The clauses that concern a line, and the bits of their leaves; `supposed` go before what is read."""

    clauses: tuple[Clause, ...]
    guidance: tuple[tuple[str, Clause], ...]
    is_continuous: bool
    root: Criterion
    reading: Reading
    node: str
    supposed: Mapping[str, Bits] = field(default_factory=dict)

    def bits(self, criterion: Criterion) -> Bits:
        """Return whether a criterion is met, and whether it is refuted."""
        if not criterion.is_leaf:
            return joined(criterion.kind, [self.bits(part) for part in criterion.parts])
        return self.supposed.get(criterion.iri) or self.reading.bits(criterion, self.node)

    @cached_property
    def groups(self) -> dict[str, Bits]:
        """Return what each group of clauses comes to."""
        return {group.iri: self.bits(group) for group in self.root.parts}

    def group(self, iri: str) -> Criterion | None:
        """Return a group of clauses, if some of the line are of it."""
        return next((group for group in self.root.parts if group.iri == iri), None)

    @cached_property
    def leaves(self) -> dict[str, Criterion]:
        """Return the leaves below the root, each once, in the order of the source."""
        return {leaf.iri: leaf for leaf in self.root.leaves()}

    @cached_property
    def of_guidance(self) -> dict[str, Criterion]:
        """Return the leaves of the clauses of guidelines."""
        return {leaf.iri: leaf for _, clause in self.guidance for leaf in clause.criterion.leaves()}

    @cached_property
    def spoken(self) -> list[tuple[str, Clause]]:
        """Return the clauses of guidelines that hold of the line."""
        return [(name, clause) for name, clause in self.guidance if self.bits(clause.criterion)[0]]

    @cached_property
    def recommending(self) -> list[Criterion]:
        """Return the clauses by which a guideline would support the line."""
        return [c.criterion for _, c in self.guidance if STANCES[c.kind] == "recommends" and c.is_verified]

    @cached_property
    def is_supported(self) -> bool:
        """Say whether a guideline recommends the line."""
        return any(self.bits(criterion)[0] for criterion in self.recommending)

    @cached_property
    def is_mentioned(self) -> bool:
        """Say whether a clause speaks of coverage."""
        return self.is_continuous or any(c.kind in ("CoverageClause", *EXCLUSIONS) for c in self.clauses)

    @cached_property
    def unverified(self) -> tuple[str, ...]:
        """Return the clauses whose wording is not verified."""
        return tuple(sorted(clause.iri for clause in self.clauses if not clause.is_verified))

    @cached_property
    def conflicting(self) -> tuple[str, ...]:
        """Return the leaves on which facts conflict."""
        return tuple(iri for iri, leaf in self.leaves.items() if self.bits(leaf) == (True, True))

    def supposing(self, bits: Mapping[str, Bits]) -> "Case":
        """Return the case as it would be with other bits."""
        return replace(self, supposed={**self.supposed, **bits})

    def verified(self, book: Book) -> "Case":
        """Return the case as if the unverified clauses were not written."""
        clauses = tuple(clause for clause in self.clauses if clause.is_verified)
        return replace(self, root=payable(book, clauses, self.is_continuous), clauses=clauses)

    @cached_property
    def is_defeated(self) -> bool:
        """Say whether a group of clauses is refuted that defeats the line under every posture."""
        return any(refuted for name, (_, refuted) in self.groups.items() if name != DOCUMENTED)

    def settled(self, posture: str) -> str:
        """Return what the groups of clauses lead to (decision rules 14, 17, 20 and 21)."""
        groups = self.groups
        if self.is_defeated:
            return DENY
        if COVERED not in groups:
            return REVIEW
        if self.bits(self.root)[0]:
            return APPROVE
        if posture == "final":
            return DENY
        lacking = groups.get(DOCUMENTED, (True, False))[1]
        covered = all(groups.get(name, (True, False))[0] for name in (COVERED, CONDITIONED))
        return APPROVE if posture == "advisory" and covered and not lacking and self.is_supported else PEND


class Verdict(NamedTuple):
    """How a line is decided under a posture, and why if a person must look."""

    case: Case
    posture: str
    decision: str
    bases: tuple["Verdict", ...] = ()
    because: tuple[str, ...] = ()
    note: str = ""
    is_doubted: bool = False  # a reading of conflicting facts, or unverified wording, would change it
    is_regardless: bool = False  # however its open facts turn out

    @property
    def caveats(self) -> list[Criterion]:
        """Return the clauses that an approval leaves open."""
        case, found = self.case, []
        for group in case.root.parts if self.decision == APPROVE and not self.is_regardless else ():
            for part in group.parts:
                if not case.bits(part)[1 if group.iri == NOT_EXCLUDED else 0] and not case.groups[group.iri][0]:
                    found.append(part)
        return found


def payable(book: Book, clauses: Iterable[Clause], is_continuous: bool) -> Criterion:
    """Join clauses into the criterion that a line is payable (decision rules 13, 15 and 19)."""
    by_iri = {clause.iri: clause for clause in clauses}

    def restorable(clause: Clause) -> Criterion:
        restorers = [by_iri[str(r)].criterion for r in clause.restored_by if r in by_iri]
        if clause.kind not in EXCLUSIONS or not restorers:
            return clause.criterion
        label = f"{clause.criterion.label}, unless restored"
        parts = (clause.criterion, *restorers)
        return replace(clause.criterion, iri=clause.iri + UNLESS, kind="unless", label=label, parts=parts)

    groups = []
    for iri, (kind, kinds) in GROUPS.items():
        parts = [restorable(clause) for clause in by_iri.values() if clause.kind in kinds]
        if iri == COVERED and is_continuous:
            parts = [read_criterion(book.graph, BASE)]
        if parts or iri == NOT_EXCLUDED:
            groups.append(Criterion(iri, kind, book.label(iri), parts=tuple(parts)))
    return Criterion(COV + "payable", "and", book.label(COV + "payable"), parts=tuple(groups))


def doubts(case: Case, posture: str, book: Book) -> tuple[str, ...]:
    """Return the unverified clauses and conflicting leaves that would change a decision (decision rule 16)."""
    conflicting, unverified = case.conflicting, case.unverified
    if not conflicting and not unverified:
        return ()
    if len(conflicting) > MAX_CONFLICTS:
        return conflicting
    fewer = case.verified(book)
    whole, without = [], []
    for values in product(((True, False), (False, True)), repeat=len(conflicting)):
        read = dict(zip(conflicting, values, strict=True))
        whole.append(case.supposing(read).settled(posture))
        if unverified:
            without.append(fewer.supposing(read).settled(posture) if fewer.is_mentioned else REVIEW)
    found = unverified if unverified and whole != without else ()
    return (*found, *conflicting) if {*whole, *without} != {case.settled(posture)} else found


def because(case: Case, decision: str, posture: str) -> Iterator[str]:
    """Yield the clauses that decided: each that defeats, each that covers, or each that is open."""
    for group in exclusions_first(case):
        met, refuted = case.groups[group.iri]
        for part in group.parts:
            good, bad = case.bits(part)[:: -1 if group.iri == NOT_EXCLUDED else 1]
            if decision == APPROVE:
                decides = group.iri == COVERED and good
            elif decision == PEND:
                decides = not met and not good and (not bad or group.iri == DOCUMENTED)
            elif case.is_defeated:
                decides = bad and refuted and (group.iri != DOCUMENTED or posture == "final")
            else:
                decides = not met and not good
            if decides:
                yield part.iri.removesuffix(UNLESS)
    if decision == APPROVE and posture == "advisory" and not case.bits(case.root)[0]:
        yield from (c.iri for _, c in case.spoken if STANCES[c.kind] == "recommends" and c.is_verified)


def exclusions_first(case: Case) -> list[Criterion]:
    """Return the groups of clauses in the order in which they are told: what defeats a line first."""
    return sorted(case.root.parts, key=lambda group: group.iri != NOT_EXCLUDED)


def grounds(case: Case, posture: str) -> Iterator[tuple[str, list[str]]]:
    """Yield, clause by clause, all minimal sets of leaves that deny the line by themselves."""
    order = list(case.leaves)

    def of_leaf(leaf: Criterion, positive: bool) -> Sets:
        return [frozenset({order.index(leaf.iri)})] if case.bits(leaf)[0 if positive else 1] else []

    for group in exclusions_first(case):
        if group.iri == DOCUMENTED and posture != "final":
            continue
        whole = group.iri == COVERED and len(group.parts) > 1
        for part in (group,) if whole else group.parts:
            for one in walked(part, group.iri == NOT_EXCLUDED, of_leaf):
                yield part.iri.removesuffix(UNLESS), [order[i] for i in sorted(one)]
