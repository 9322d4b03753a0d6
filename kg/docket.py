"""Docket: the clauses that bear on a line, joined into one criterion, and the case that the facts make of it.

Which clauses concern a line depends on what it is; what they come to, on the facts. Both are read from the bits
of the line's leaves. A case names nothing of a claim: lines on which the facts say the same are one case.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from kg.check import Edits, Stopped
from kg.criteria import Criterion
from kg.knowledge import (
    CONDITION_OF,
    COVERAGE,
    DOCUMENTATION,
    EVIDENCE,
    EXCLUSION,
    OPPOSITION,
    PERFORMANCE,
    RECOMMENDATION,
    Clause,
    Edition,
    Knowledge,
)
from kg.lazy import lazy
from kg.load import Claim
from kg.outcome import Bits, Outcome
from kg.plan import BASE, CONTINUOUS, Plan, plan_of, remember
from kg.sets import NONE, Sets, members, sets_for
from kg.terms import COV

CASES = 1 << 11  # of an edition that are remembered; a case takes some kilobytes
UNLESS = "-unless-restored"
COVERED, CONDITIONED, NOT_EXCLUDED, PERFORMED, DOCUMENTED = (
    COV + name for name in ("covered", "conditioned", "notExcluded", "performed", "documented")
)
GROUPS = {  # what every line is judged by: how its clauses are joined, and which they are
    COVERED: ("or", "a coverage clause is met", COVERAGE),
    CONDITIONED: ("and", "every condition of coverage is met", CONDITION_OF),
    NOT_EXCLUDED: ("none", "no exclusion holds", EXCLUSION),
    PERFORMED: ("and", "performed and billed as asked", PERFORMANCE),
    DOCUMENTED: ("and", "documented as asked", DOCUMENTATION),
}
STANCES = {**dict.fromkeys(RECOMMENDATION, "recommends"), **dict.fromkeys(OPPOSITION, "opposes")}


class Guidance(NamedTuple):
    """A clause of a guideline that is about the line and its operated levels."""

    document: str
    clause: Clause
    outcome: Outcome
    stance: str


@dataclass(frozen=True, eq=False)
class Docket:
    """The clauses of an edition, and of guidelines, that concern lines of one kind."""

    plan: Plan
    clauses: Mapping[str, Clause]
    guidelines: tuple[tuple[str, Clause], ...]
    continuous: bool
    root: Criterion
    cases: dict[tuple[object, ...], "Case"] = field(default_factory=dict)
    told: dict[object, Any] = field(default_factory=dict)  # in which words, by what

    @lazy
    def mentioned(self) -> bool:
        """Say whether a clause speaks of coverage."""
        return self._mentioned(self.clauses.values())

    @lazy
    def unverified(self) -> tuple[str, ...]:
        """Return the clauses whose wording is not verified."""
        return tuple(sorted(iri for iri, clause in self.clauses.items() if not clause.verified))

    @lazy
    def verified(self) -> Criterion | None:
        """Return the root as if the unverified clauses were not written; None where nothing would mention the line."""
        clauses = {iri: clause for iri, clause in self.clauses.items() if clause.verified}
        base = self.plan.knowledge.criteria.get(BASE) if self.continuous else None
        return root_of(clauses, base) if self._mentioned(clauses.values()) else None

    def _mentioned(self, clauses: Iterable[Clause]) -> bool:
        return self.continuous or any(clause.kind in (*COVERAGE, *EXCLUSION) for clause in clauses)

    @lazy
    def recommending(self) -> tuple[Criterion, ...]:
        """Return the clauses of guidelines that recommend a line, where their criteria are met."""
        clauses = (clause for _, clause in self.guidelines)
        return tuple(c.criterion for c in clauses if c.kind in RECOMMENDATION and c.verified)

    @lazy
    def leaves(self) -> tuple[Criterion, ...]:
        """Return the leaves below the root, each once, in the order of the source."""
        return tuple(dict.fromkeys(self.root.leaves()))

    @lazy
    def order(self) -> dict[str, int]:
        """Return the place of each leaf."""
        return {leaf.iri: i for i, leaf in enumerate(self.leaves)}

    @lazy
    def own(self) -> int:
        """Return the bits of the leaves below the root."""
        return self.plan.mask((self.root,))

    @lazy
    def mask(self) -> int:
        """Return the bits of all leaves that bear on a line."""
        return self.own | self.plan.mask(clause.criterion for _, clause in self.guidelines)

    def grounds(self, outcome: Outcome, positive: bool) -> tuple[tuple[str, ...], ...]:
        """Return the minimal sets of leaves that make an outcome met, or refuted, each in the order of the source."""
        if not (outcome.met if positive else outcome.refuted):
            return ()
        known: tuple[tuple[str, ...], ...] | None = self.told.get((outcome, positive))
        return known or remember(self.told, (outcome, positive), self._grounds(outcome, positive))

    def _grounds(self, outcome: Outcome, positive: bool) -> tuple[tuple[str, ...], ...]:
        def so(leaf: Outcome, positive: bool) -> Sets:
            return (1 << self.order[leaf.criterion.iri],) if (leaf.met if positive else leaf.refuted) else NONE

        found = sets_for(outcome, positive, so)
        return tuple(tuple(self.leaves[i].iri for i in members(one)) for one in found)

    def case(self, bits: Bits, operated: frozenset[str], edits: Stopped) -> "Case":
        """Return the case that the bits of a line make, of an operation in some regions."""
        here = bits.only(self.mask)
        key = (here, operated, edits)
        return self.cases.get(key) or remember(self.cases, key, Case(self, here, operated, edits), CASES)


@dataclass(frozen=True, eq=False)
class Case:
    """Everything that bears on a line before a posture is taken."""

    docket: Docket
    bits: Bits
    operated: frozenset[str]
    stopped: Stopped
    decisions: dict[tuple[object, ...], Any] = field(default_factory=dict)

    @lazy
    def root(self) -> Outcome:
        """Return what the clauses come to."""
        return self.docket.plan.outcome(self.docket.root, self.bits)

    @lazy
    def groups(self) -> dict[str, Outcome]:
        """Return what each group of clauses comes to."""
        return {outcome.criterion.iri: outcome for outcome in self.root.parts}

    @lazy
    def defeated(self) -> bool:
        """Say whether a group of clauses is refuted that the record cannot still complete: facts change nothing."""
        return any(outcome.refuted and name != DOCUMENTED for name, outcome in self.groups.items())

    @property
    def is_doubtful(self) -> bool:
        """Say whether a clause is unverified or facts conflict, so that decision rule 16 is to be asked."""
        return bool(self.docket.unverified or self.bits.met & self.bits.refuted & self.docket.own)

    @lazy
    def supported(self) -> bool:
        """Say whether a guideline recommends the modality at the operated levels."""
        return any(self.docket.plan.outcome(criterion, self.bits).met for criterion in self.docket.recommending)

    @lazy
    def guidance(self) -> tuple[Guidance, ...]:
        """Return what guidelines say of the line."""
        spoken = ((d, c, self.docket.plan.outcome(c.criterion, self.bits)) for d, c in self.docket.guidelines)
        return tuple(Guidance(d, c, o, STANCES.get(c.kind, "reports")) for d, c, o in spoken if o.met)

    def supposing(self, bits: Bits) -> "Case":
        """Return the case as it would be with other bits."""
        return Case(self.docket, bits, self.operated, self.stopped)

    def verified(self) -> "Case":
        """Return the case as if the unverified clauses were not written."""
        return Case(
            replace(self.docket, root=self.docket.verified or self.docket.root, cases={}),
            self.bits,
            self.operated,
            self.stopped,
        )


class Book:
    """An edition of a policy with the guidelines of its day: what makes a docket for a line."""

    def __init__(self, knowledge: Knowledge, edition: Edition, guidelines: Iterable[tuple[str, Edition]]) -> None:
        self.plan = plan_of(knowledge)
        self.knowledge = knowledge
        self.edits = Edits(self.plan, knowledge, edition)
        self.clauses = [clause for clause in edition.clauses if not clause.effect]
        kinds = (*RECOMMENDATION, *OPPOSITION, *EVIDENCE)
        self.guidelines = [(name, c) for name, guideline in guidelines for c in guideline.clauses if c.kind in kinds]
        concerns = [c.concerns for c in (*self.clauses, *(c for _, c in self.guidelines)) if c.concerns]
        self.mask = self.plan.mask([*concerns, *(c for c in (knowledge.criteria.get(CONTINUOUS),) if c)])
        self._dockets: dict[Bits, Docket] = {}

    def docket(self, bits: Bits) -> Docket:
        """Return the docket of a line."""
        here = bits.only(self.mask)
        return self._dockets.get(here) or remember(self._dockets, here, self._docket(here), CASES)

    def _docket(self, bits: Bits) -> Docket:
        known = self.knowledge.criteria

        def concerns(clause: Clause) -> bool:
            return clause.concerns is None or self.plan.outcome(clause.concerns, bits).met

        clauses = {clause.iri: clause for clause in self.clauses if concerns(clause)}
        continuous = CONTINUOUS in known and self.plan.outcome(known[CONTINUOUS], bits).met
        spoken = tuple((document, clause) for document, clause in self.guidelines if concerns(clause))
        root = root_of(clauses, known[BASE] if continuous else None)
        return Docket(self.plan, clauses, spoken, continuous, root)


def root_of(clauses: Mapping[str, Clause], base: Criterion | None) -> Criterion:
    """Join clauses into the criterion that a line is payable; a line added to others is covered as they are."""
    groups = []
    for iri, (kind, label, kinds) in GROUPS.items():
        members = [_restorable(clause, clauses) for clause in clauses.values() if clause.kind in kinds]
        if iri == COVERED and base is not None:
            members = [base]
        if members or iri == NOT_EXCLUDED:
            groups.append(Criterion(iri, kind, label, parts=tuple(members)))
    return Criterion(COV + "payable", "and", "the line is payable", parts=tuple(groups))


def _restorable(clause: Clause, clauses: Mapping[str, Clause]) -> Criterion:
    """Return an exclusion set aside where a more specific coverage clause is met (decision rule 15)."""
    restorers = tuple(clauses[iri].criterion for iri in clause.restored_by if iri in clauses)
    if clause.kind not in EXCLUSION or not restorers:
        return clause.criterion
    label = f"{clause.criterion.label}, unless restored"
    return replace(
        clause.criterion,
        iri=clause.iri + UNLESS,
        kind="unless",
        label=label,
        parts=(clause.criterion, *restorers),
        path=None,
    )


def book_of(claim: Claim, knowledge: Knowledge, edition: Edition) -> Book:
    """Return the policy's edition with the guidelines that are in force on the date of service."""
    guidelines = knowledge.guidelines_on(claim.service_date)
    key = ("book", edition.iri, *(guideline.iri for _, guideline in guidelines))
    return knowledge.remember(key, lambda: Book(knowledge, edition, guidelines))
