"""Docket: the clauses that bear on a line, joined into one criterion, and the case that the facts make of it.

Which clauses concern a line depends on what it is; what they come to, on the facts. Both are read from the bits
of the line's leaves. A case names nothing of a claim: lines on which the facts say the same are one case.
"""

from collections.abc import Iterable, Iterator, Mapping
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
from kg.lazy import Table, lazy
from kg.load import Claim
from kg.outcome import Bits, Outcome, joined
from kg.plan import BASE, CONTINUOUS, Plan, plan_for, remember
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


class Ground(NamedTuple):
    """One way in which a clause denies a line by itself: leaves that together suffice, none of them idle."""

    clause: str
    leaves: tuple[str, ...]


class Group:
    """What a group of clauses comes to, and which of its clauses bring it there, or would have to be shown."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.name = outcome.criterion.iri
        self.met, self.refuted = outcome.met, outcome.refuted
        self.defeats = self.refuted and self.name != DOCUMENTED  # what the record lacks can still be completed
        self._for, self._against = ("refuted", "met") if self.name == NOT_EXCLUDED else ("met", "refuted")

    @lazy
    def shown(self) -> list[str]:
        """Return the clauses that are as the line needs them."""
        return [_clause(part) for part in self.outcome.parts if getattr(part, self._for)]

    @lazy
    def against(self) -> list[str]:
        """Return the clauses that bring the group down."""
        return [_clause(part) for part in self.outcome.parts if getattr(part, self._against)] if self.refuted else []

    @lazy
    def caveats(self) -> list[Outcome]:
        """Return what would still have to be shown."""
        return [] if self.met else [part for part in self.outcome.parts if not getattr(part, self._for)]

    @lazy
    def unshown(self) -> list[str]:
        """Return the clauses that would still have to be shown."""
        return [_clause(part) for part in self.caveats]

    @lazy
    def open(self) -> list[str]:
        """Return those of them that can be: what the record lacks can still be completed."""
        completed = self.name == DOCUMENTED
        return [_clause(part) for part in self.caveats if completed or not getattr(part, self._against)]

    @lazy
    def grounds(self) -> tuple[Ground, ...]:
        """Return every minimal set of leaves that denies by itself: of each clause, or of all that cover together."""
        outcome, excludes = self.outcome, self.name == NOT_EXCLUDED
        by_itself = (outcome,) if self.name == COVERED and len(outcome.parts) > 1 else outcome.parts
        return tuple(
            Ground(_clause(part), leaves)
            for part in by_itself
            if (part.met if excludes else part.refuted)
            for leaves in grounds_of(part, excludes)
        )


def _clause(part: Outcome) -> str:
    return part.criterion.iri.removesuffix(UNLESS)


def grounds_of(outcome: Outcome, positive: bool) -> Iterator[tuple[str, ...]]:
    """Yield the minimal sets of leaves that make an outcome met, or refuted."""
    leaves = tuple(dict.fromkeys(outcome.criterion.leaves()))
    place = {leaf: 1 << i for i, leaf in enumerate(leaves)}

    def so(leaf: Outcome, positive: bool) -> Sets:
        return (place[leaf.criterion],) if (leaf.met if positive else leaf.refuted) else NONE

    for one in sets_for(outcome, positive, so):
        yield tuple(leaves[i].iri for i in members(one))


@dataclass(frozen=True, eq=False)
class Docket:
    """The clauses of an edition, and of guidelines, that concern lines of one kind."""

    plan: Plan
    clauses: Mapping[str, Clause]
    guidelines: tuple[tuple[str, Clause], ...]
    continuous: bool
    root: Criterion
    told: dict[object, Any] = field(default_factory=dict)  # what could be documented, and in which words

    @lazy
    def mentioned(self) -> bool:
        """Say whether a clause speaks of coverage."""
        return self._mentioned(self.clauses.values())

    @lazy
    def unverified(self) -> tuple[str, ...]:
        """Return the clauses whose wording is not verified."""
        return tuple(sorted(iri for iri, clause in self.clauses.items() if not clause.verified))

    @lazy
    def verified(self) -> "Docket | None":
        """Return the docket as if no unverified clause were written; None where nothing would mention the line."""
        clauses = {iri: clause for iri, clause in self.clauses.items() if clause.verified}
        base = self.plan.knowledge.criteria.get(BASE) if self.continuous else None
        return replace(self, root=root_of(clauses, base, self.plan)) if self._mentioned(clauses.values()) else None

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
    def guiding(self) -> int:
        """Return what of a state bears on the clauses of guidelines."""
        return self.plan.states(clause.criterion for _, clause in self.guidelines)

    @lazy
    def mask(self) -> int:
        """Return what of a state bears on a line."""
        return self.plan.states((self.root,)) | self.guiding

    @lazy
    def groups(self) -> tuple[tuple[str, int, Table[int, Group]], ...]:
        """Return the groups, exclusions first, each with what of a state bears on it and what it comes to by that."""
        parts = sorted(self.root.parts, key=lambda part: part.iri != NOT_EXCLUDED)
        return tuple((part.iri, *groups_of(part, self.plan)) for part in parts)

    @lazy
    def grounds(self) -> Table[Group, tuple[Ground, ...]]:
        """Return the grounds of a group, the leaves of each in the order of the docket."""
        place = self.order.__getitem__

        def compute(group: Group) -> tuple[Ground, ...]:
            return tuple([Ground(clause, tuple(sorted(leaves, key=place))) for clause, leaves in group.grounds])

        return Table(compute, CASES)

    @lazy
    def guidance(self) -> Table[int, tuple[Guidance, ...]]:
        """Return what guidelines say of a line, by the state of their leaves."""
        clauses = [(d, c, STANCES.get(c.kind, "reports"), *_states(c.criterion, self.plan)) for d, c in self.guidelines]

        def compute(state: int) -> tuple[Guidance, ...]:
            spoken = [
                Guidance(document, clause, outcomes[state & mask], stance)
                for document, clause, stance, mask, outcomes in clauses
            ]
            return tuple([one for one in spoken if one.outcome.met])

        return Table(compute, CASES)

    @lazy
    def cases(self) -> dict[tuple[object, ...], "Case"]:
        """Return the cases of lately."""
        return {}

    @lazy
    def decisions(self) -> dict[object, Any]:
        """Return what was decided of these: kept beside them, so that what is forgotten holds itself in no circle."""
        return {}

    def case(self, state: int, operated: frozenset[str], stopped: Stopped) -> "Case":
        """Return the case that the state of a line makes, of an operation in some regions."""
        key = (state & self.mask, operated, stopped)
        known = self.cases.get(key)
        if known is None:
            if len(self.cases) >= CASES:
                self.cases.clear()
                self.decisions.clear()
            known = self.cases[key] = Case(self, *key)
        return known


# What follows from the bits of a few leaves recurs from claim to claim


def groups_of(criterion: Criterion, plan: Plan) -> tuple[int, Table[int, Group]]:
    """Return what of a state bears on a group of clauses, and what it comes to by that; dockets share it."""
    known: tuple[int, Table[int, Group]] | None = plan.groups.get(criterion)
    return known or remember(plan.groups, criterion, _groups_of(criterion, plan))


def _groups_of(criterion: Criterion, plan: Plan) -> tuple[int, Table[int, Group]]:
    clauses = [_states(part, plan) for part in criterion.parts]

    def compute(state: int) -> Group:
        parts = [outcomes[state & mask] for mask, outcomes in clauses]
        return Group(joined(criterion, parts))

    return plan.states((criterion,)), Table(compute, CASES)


def _states(criterion: Criterion, plan: Plan) -> tuple[int, Table[int, Outcome]]:
    """Return what of a state bears on a criterion, and what that comes to by it."""
    return plan.states((criterion,)), Table(lambda state: plan.outcome(criterion, plan.bits(state)), CASES)


class Case:
    """Everything that bears on a line before a posture is taken."""

    def __init__(self, docket: Docket, state: int, operated: frozenset[str], stopped: Stopped) -> None:
        self.docket = docket
        self.state = state
        self.bits = docket.plan.bits(state)
        self.operated = operated
        self.stopped = stopped
        self.groups: dict[str, Group] = {}
        self.met, self.defeated = True, False  # what is defeated stays so, whatever else is documented
        for name, mask, groups in docket.groups:
            group = self.groups[name] = groups[state & mask]
            if not group.met:
                self.met = False
            if group.defeats:
                self.defeated = True
        self.conflicts = self.bits.met & self.bits.refuted & docket.own  # the leaves on which the facts conflict
        self.is_doubtful = bool(self.conflicts or docket.unverified)  # so that decision rule 16 is to be asked

    @lazy
    def root(self) -> Outcome:
        """Return what the clauses come to."""
        parts: list[Outcome] = []
        refuted, silent = False, True
        for part in self.docket.root.parts:
            outcome = self.groups[part.iri].outcome
            parts.append(outcome)
            refuted = refuted or outcome.refuted
            silent = silent and outcome.silent
        return Outcome(self.docket.root, self.met, refuted, tuple(parts), silent=silent)

    @lazy
    def guidance(self) -> tuple[Guidance, ...]:
        """Return what guidelines say of the line."""
        return self.docket.guidance[self.state & self.docket.guiding]

    @property
    def recommended(self) -> list[str]:
        """Return the clauses of guidelines that recommend the modality at the operated levels."""
        return [one.clause.iri for one in self.guidance if one.stance == "recommends" and one.clause.verified]

    def supposing(self, bits: Bits) -> "Case":
        """Return the case as it would be with other bits."""
        if bits == self.bits:
            return self
        return Case(self.docket, self.docket.plan.state(bits), self.operated, self.stopped)

    def verified(self) -> "Case":
        """Return the case as if the unverified clauses were not written."""
        return Case(self.docket.verified or self.docket, self.state, self.operated, self.stopped)


class Book:
    """An edition of a policy with the guidelines of its day: what makes a docket for a line."""

    def __init__(self, knowledge: Knowledge, edition: Edition, guidelines: Iterable[tuple[str, Edition]]) -> None:
        self.clauses = [clause for clause in edition.clauses if not clause.effect]
        kinds = (*RECOMMENDATION, *OPPOSITION, *EVIDENCE)
        self.guidelines = [(name, c) for name, guideline in guidelines for c in guideline.clauses if c.kind in kinds]
        self.plan = plan_for([*edition.clauses, *(clause for _, clause in self.guidelines)], knowledge)
        self.knowledge = knowledge
        self.edits = Edits(self.plan, knowledge, edition)
        concerns = [c.concerns for c in (*self.clauses, *(c for _, c in self.guidelines)) if c.concerns]
        self.mask = self.plan.states([*concerns, *(c for c in (knowledge.criteria.get(CONTINUOUS),) if c)])
        self._dockets = Table(self._docket, CASES)

    def case(self, bits: Bits, operated: frozenset[str], stopped: Stopped) -> Case:
        """Return the case that a line is."""
        state = self.plan.state(bits)
        return self._dockets[state & self.mask].case(state, operated, stopped)

    def _docket(self, state: int) -> Docket:
        known, bits = self.knowledge.criteria, self.plan.bits(state)

        def concerns(clause: Clause) -> bool:
            return clause.concerns is None or self.plan.outcome(clause.concerns, bits).met

        clauses = {clause.iri: clause for clause in self.clauses if concerns(clause)}
        continuous = CONTINUOUS in known and self.plan.outcome(known[CONTINUOUS], bits).met
        spoken = tuple((document, clause) for document, clause in self.guidelines if concerns(clause))
        root = root_of(clauses, known[BASE] if continuous else None, self.plan)
        return Docket(self.plan, clauses, spoken, continuous, root)


def root_of(clauses: Mapping[str, Clause], base: Criterion | None, plan: Plan) -> Criterion:
    """Join clauses into the criterion that a line is payable; a line added to others is covered as they are."""
    groups = []
    for iri, (kind, label, kinds) in GROUPS.items():
        members = [_restorable(clause, clauses, plan) for clause in clauses.values() if clause.kind in kinds]
        if iri == COVERED and base is not None:
            members = [base]
        if members or iri == NOT_EXCLUDED:
            groups.append(plan.join(Criterion(iri, kind, label, parts=tuple(members))))
    return Criterion(COV + "payable", "and", "the line is payable", parts=tuple(groups))


def _restorable(clause: Clause, clauses: Mapping[str, Clause], plan: Plan) -> Criterion:
    """Return an exclusion set aside where a more specific coverage clause is met (decision rule 15)."""
    restorers = tuple(clauses[iri].criterion for iri in clause.restored_by if iri in clauses)
    if clause.kind not in EXCLUSION or not restorers:
        return clause.criterion
    label, parts = f"{clause.criterion.label}, unless restored", (clause.criterion, *restorers)
    unless = replace(clause.criterion, iri=clause.iri + UNLESS, kind="unless", label=label, parts=parts, path=None)
    return plan.join(unless)


def book_of(claim: Claim, knowledge: Knowledge, edition: Edition) -> Book:
    """Return the policy's edition with the guidelines that are in force on the date of service."""
    guidelines = knowledge.guidelines_on(claim.service_date)
    key = ("book", edition.iri, *[guideline.iri for _, guideline in guidelines])
    return knowledge.remember(key, lambda: Book(knowledge, edition, guidelines))
