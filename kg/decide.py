"""Decide: from the outcomes of clauses to the decision of each line, under each posture.

Only what is true of clauses in general stands here; what a clause asks stands in its policy. The rules are
those of the decision rules in README.md: edits, then conflicts and unverified clauses, then exclusions, then
coverage; continuous lines stand or fall with their base lines.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

from kg.check import Hit, check, stops
from kg.evaluate import Outcome, evaluate, group, joined, reread
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
from kg.load import Claim
from kg.reason import Derived, Reasoned, rule, with_facts
from kg.sets import Sets, all_of, any_of, ground, sets_for
from kg.shapes import Run
from kg.terms import ANATOMY, COV, Term, local_name

APPROVE, DENY, PEND, NOT_BILLABLE, REVIEW = "approve", "deny", "pend", "not-billable", "review"
PAYER, ADVISORY, FINAL = "payer", "advisory", "final"
POSTURES = (PAYER, ADVISORY, FINAL)
MAX_READINGS = 8  # conflicting leaves whose readings are tried one by one; with more, a person must look

Known = dict[tuple[str, Term], Outcome]


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


class Ground(NamedTuple):
    """One way in which a clause denies a line by itself: leaves that together suffice, none of them idle."""

    clause: str
    leaves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of a line under one posture, and why."""

    posture: str
    decision: str
    because: tuple[str, ...]
    reason: str = ""
    grounds: tuple[Ground, ...] = ()
    caveats: tuple[Outcome, ...] = ()
    missing: tuple[Atom, ...] = ()
    changes: tuple[Change, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Guidance:
    """A clause of a guideline that is about the line and its operated levels."""

    document: str
    clause: Clause
    outcome: Outcome
    stance: str


@dataclass(frozen=True, slots=True)
class LineCase:
    """Everything that bears on a line before a posture is taken."""

    number: int
    node: str
    code: str
    continuous: bool
    mentioned: bool
    root: Outcome
    clauses: Mapping[str, Clause]
    guidance: tuple[Guidance, ...]
    stopped_by: tuple[Outcome, ...]
    doubtful_stops: tuple[Outcome, ...]  # edits of unverified clauses: a person must look

    @property
    def supported(self) -> bool:
        """Say whether a guideline recommends the modality at the operated levels."""
        return any(item.stance == "recommends" and item.clause.verified for item in self.guidance)


@dataclass(frozen=True, slots=True)
class Judged:
    """A line with its case and decision under each posture."""

    number: int
    node: str
    code: str
    cases: Mapping[str, LineCase]
    decisions: Mapping[str, Decision]


def decide(
    claim: Claim, reasoned: Reasoned, knowledge: Knowledge, edition: Edition
) -> tuple[tuple[Judged, ...], tuple[Hit, ...]]:
    """Decide every line under every posture; base lines first, then the lines added to them."""
    run = Run(reasoned.graph)
    known: Known = {}
    hits = check(claim, knowledge, edition, run, known)
    added = {node: bases for _, node, _ in claim.lines if (bases := _bases(reasoned, node))}
    judged: dict[str, Judged] = {}
    for number, node, code in sorted(claim.lines, key=lambda line: line[1] in added):
        cases, decisions = {}, {}
        shared = None
        for posture in POSTURES:
            decided_bases = [judged[base] for base in added.get(node, ()) if base in judged]
            if shared is None or decided_bases:
                facts = with_facts(reasoned, decided(decided_bases, posture))
                here = (Run(facts.graph), {}) if decided_bases else (run, known)
                shared = _case(number, node, code, knowledge, edition, claim, hits, *here)
            cases[posture] = shared
            decisions[posture] = _decision(shared, posture, {base.node: base for base in decided_bases}, knowledge)
        judged[node] = Judged(number, node, code, cases, decisions)
    return tuple(judged[node] for _, node, _ in claim.lines), hits


def _bases(reasoned: Reasoned, line: str) -> tuple[str, ...]:
    return tuple(str(base) for base in reasoned.graph.objects(line, COV + "baseLine"))


def decided(bases: Iterable[Judged], posture: str) -> Iterator[Derived]:
    """Yield the decisions of base lines that are settled; one that pends says nothing yet."""
    for base in bases:
        decision = base.decisions[posture].decision
        settled = {APPROVE: "approve", DENY: "deny", NOT_BILLABLE: "notBillable"}.get(decision)
        if settled:
            yield Derived((base.node, COV + "decision", COV + settled), rule("baseDecision"), ())


def _case(
    number: int,
    node: str,
    code: str,
    knowledge: Knowledge,
    edition: Edition,
    claim: Claim,
    hits: tuple[Hit, ...],
    run: Run,
    known: Known,
) -> LineCase:
    def judge(clause: Clause) -> Outcome:
        return evaluate(clause.criterion, run, node, known)

    def concerns(clause: Clause) -> bool:
        return clause.concerns is None or evaluate(clause.concerns, run, node, known).met

    clauses = {clause.iri: clause for clause in edition.clauses if not clause.effect and concerns(clause)}
    continuous = evaluate(knowledge.criteria[CONTINUOUS], run, node, known).met
    mentioned = any(clause.kind in (*COVERAGE, *EXCLUSION) for clause in clauses.values())
    return LineCase(
        number=number,
        node=node,
        code=code,
        continuous=continuous,
        mentioned=mentioned or continuous,
        root=_root(node, clauses, judge, continuous, lambda: evaluate(knowledge.criteria[BASE], run, node, known)),
        clauses=clauses,
        guidance=tuple(_guidance(claim, knowledge, concerns, judge)),
        stopped_by=stops(hits, number, verified=True),
        doubtful_stops=stops(hits, number, verified=False),
    )


UNLESS = "-unless-restored"
UNVERIFIED = "unverified clauses would change the decision"
CONFLICTING = "conflicting facts would change the decision"
BASE_IN_REVIEW = "a base study of the line is for review"
UNMENTIONED = "no coverage clause mentions the code, and no exclusion is established"
LINE = "https://w3id.org/coverpath/line#"
CONTINUOUS, BASE = LINE + "continuous", LINE + "base-approved"
COVERED, CONDITIONED, NOT_EXCLUDED, DOCUMENTED = (
    COV + name for name in ("covered", "conditioned", "notExcluded", "documented")
)


def _root(
    node: str,
    clauses: Mapping[str, Clause],
    judge: Callable[[Clause], Outcome],
    continuous: bool,
    base: Callable[[], Outcome],
) -> Outcome:
    def of(*kinds: tuple[str, ...]) -> list[Clause]:
        return [clause for clause in clauses.values() if clause.kind in sum(kinds, ())]

    coverage = [base()] if continuous else [judge(clause) for clause in of(COVERAGE)]
    groups = []
    if coverage:
        groups.append(group("covered", "or", "a coverage clause is met", node, coverage))
    if conditions := of(CONDITION_OF):
        label = "every condition of coverage is met"
        groups.append(group("conditioned", "and", label, node, map(judge, conditions)))
    exclusions = [_restorable(clause, clauses, judge) for clause in of(EXCLUSION)]
    groups.append(group("notExcluded", "none", "no exclusion holds", node, exclusions))
    if performance := of(PERFORMANCE):
        groups.append(group("performed", "and", "performed and billed as asked", node, map(judge, performance)))
    if documentation := of(DOCUMENTATION):
        groups.append(group("documented", "and", "documented as asked", node, map(judge, documentation)))
    return group("payable", "and", "the line is payable", node, groups)


def _restorable(clause: Clause, clauses: Mapping[str, Clause], judge: Callable[[Clause], Outcome]) -> Outcome:
    """Return an exclusion, set aside where a more specific coverage clause is met (decision rule 15)."""
    outcome = judge(clause)
    restorers = [judge(clauses[iri]) for iri in clause.restored_by if iri in clauses]
    if not restorers:
        return outcome
    label = f"{clause.criterion.label}, unless restored"
    criterion = replace(clause.criterion, iri=clause.iri + UNLESS, kind="unless", label=label, parts=(), path=None)
    return joined(criterion, outcome.focus, (outcome, *restorers))


def _guidance(
    claim: Claim, knowledge: Knowledge, concerns: Callable[[Clause], bool], judge: Callable[[Clause], Outcome]
) -> Iterator[Guidance]:
    stances = {**dict.fromkeys(RECOMMENDATION, "recommends"), **dict.fromkeys(OPPOSITION, "opposes")}
    for document in knowledge.guidelines:
        edition = document.edition(claim.service_date)
        for clause in edition.clauses if edition else ():
            if clause.kind in (*RECOMMENDATION, *OPPOSITION, *EVIDENCE) and concerns(clause):
                outcome = judge(clause)
                if outcome.met:
                    yield Guidance(document.id, clause, outcome, stances.get(clause.kind, "reports"))


# One line under one posture


def settle(root: Outcome, posture: str, supported: bool) -> str:
    """Return the decision that the groups of clauses lead to (decision rules 13 to 21)."""
    groups = {outcome.criterion.iri: outcome for outcome in root.parts}
    documented = groups.pop(DOCUMENTED, None)
    if any(outcome.refuted for outcome in groups.values()):
        return DENY
    if COVERED not in groups:
        return REVIEW
    if root.met:
        return APPROVE
    if posture == FINAL:
        return DENY
    unrefuted = documented is None or not documented.refuted
    covered = all(groups[name].met for name in (COVERED, CONDITIONED) if name in groups)
    if posture == ADVISORY and supported and covered and unrefuted:
        return APPROVE
    return PEND


def _decision(case: LineCase, posture: str, bases: Mapping[str, Judged], knowledge: Knowledge) -> Decision:
    if case.stopped_by:
        because = tuple(outcome.criterion.iri for outcome in case.stopped_by)
        return Decision(posture, NOT_BILLABLE, because, reason=COV + "Coding")
    if case.doubtful_stops:
        because = tuple(outcome.criterion.iri for outcome in case.doubtful_stops)
        return Decision(posture, REVIEW, because, note=UNVERIFIED)
    if not case.mentioned:
        return Decision(posture, REVIEW, (), note="no clause mentions the code")
    decision = settle(case.root, posture, case.supported)
    if decision == REVIEW:
        return Decision(posture, REVIEW, (), note=UNMENTIONED)
    if decision != APPROVE and _base_in_review(case, posture, bases):
        return Decision(posture, REVIEW, (BASE,), note=BASE_IN_REVIEW)
    doubts = tuple(dict.fromkeys(_doubts(case, posture, decision)))
    if doubts:
        unverified = any(iri in case.clauses for iri in doubts)
        return Decision(posture, REVIEW, doubts, note=UNVERIFIED if unverified else CONFLICTING)
    because = tuple(_because(case, decision, posture))
    changes = _Changes(case, posture, bases, knowledge)
    return Decision(
        posture=posture,
        decision=decision,
        because=because,
        reason=_reason(case, because, posture) if decision == DENY else "",
        grounds=_grounds(case, decision, posture),
        caveats=tuple(_caveats(case)) if decision == APPROVE else (),
        missing=changes.missing(decision),
        changes=changes.all(decision),
    )


def _base_in_review(case: LineCase, posture: str, bases: Mapping[str, Judged]) -> bool:
    """Say whether a line that its own clauses do not deny rests on a base line that rule 16 sends to a person."""
    own = any(o.refuted for o in case.root.parts if o.criterion.iri not in (COVERED, DOCUMENTED))
    doubted = (UNVERIFIED, CONFLICTING)
    return not own and any(base.decisions[posture].note in doubted for base in bases.values())


def _doubts(case: LineCase, posture: str, decision: str) -> Iterator[str]:
    """Yield the unverified clauses and conflicting leaves that would change the decision (decision rule 16).

    Every reading of the conflicting leaves is tried, with the unverified clauses and without them.
    """
    unverified = {iri for iri, clause in case.clauses.items() if not clause.verified}
    without = _without(case.root, unverified)
    kept = (clause.kind for iri, clause in case.clauses.items() if iri not in unverified)
    mentioned = case.continuous or any(kind in (*COVERAGE, *EXCLUSION) for kind in kept)
    conflicting = list(dict.fromkeys(o.criterion.iri for o in case.root.leaves() if o.met and o.refuted))
    if len(conflicting) > MAX_READINGS:
        yield from conflicting
        return
    decisions, fewer = [], []
    for bits in product((True, False), repeat=len(conflicting)):
        chosen = dict(zip(conflicting, bits, strict=True))

        def reading(leaf: Outcome, chosen: dict[str, bool] = chosen) -> tuple[bool, bool]:
            met = chosen.get(leaf.criterion.iri)
            return (leaf.met, leaf.refuted) if met is None else (met, not met)

        decisions.append(settle(reread(case.root, reading), posture, case.supported))
        fewer.append(settle(reread(without, reading), posture, case.supported) if mentioned else REVIEW)
    if unverified and decisions != fewer:
        yield from sorted(unverified)
    if {*decisions, *(fewer if unverified else ())} != {decision} and (decisions != fewer or len({*decisions}) > 1):
        yield from conflicting


def _without(root: Outcome, clauses: set[str]) -> Outcome:
    """Return the root as if some clauses were not written."""

    def keep(outcome: Outcome) -> bool:
        return outcome.criterion.iri.removesuffix(UNLESS) not in clauses

    groups = []
    for outcome in root.parts:
        members = [part for part in outcome.parts if keep(part)]
        if members or outcome.criterion.iri == NOT_EXCLUDED:
            groups.append(joined(outcome.criterion, outcome.focus, members))
    return joined(root.criterion, root.focus, groups)


def _because(case: LineCase, decision: str, posture: str) -> Iterator[str]:
    """Yield the clauses that decided: each that defeats, each that covers, or each that is open."""
    hard = _hard(case)
    for outcome in _exclusions_first(case.root):
        name = outcome.criterion.iri
        for part in outcome.parts:
            bad, good = (part.met, part.refuted) if name == NOT_EXCLUDED else (part.refuted, part.met)
            open_ = not outcome.met and not good and (not bad or name == DOCUMENTED)
            if decision == APPROVE:
                decides = name == COVERED and good
            elif decision == PEND:
                decides = open_
            elif hard:
                decides = bad and outcome.refuted and (name != DOCUMENTED or posture == FINAL)
            else:  # final: whatever is not shown counts against the line
                decides = not outcome.met and not good
            if decides:
                yield part.criterion.iri.removesuffix(UNLESS)
    if decision == APPROVE and posture == ADVISORY and not case.root.met:
        yield from (item.clause.iri for item in case.guidance if item.stance == "recommends" and item.clause.verified)


def _hard(case: LineCase) -> bool:
    return any(o.refuted for o in case.root.parts if o.criterion.iri != DOCUMENTED)


def _reason(case: LineCase, because: tuple[str, ...], posture: str) -> str:
    """Return the class of the denial: that of the first exclusion, else of the first clause that decided."""
    decided = [case.clauses[iri] for iri in because if iri in case.clauses]
    exclusions = [clause for clause in decided if clause.kind in EXCLUSION]
    first = next(iter(exclusions or decided), None)
    return first.reason if first and first.reason else COV + "NotMedicallyNecessary"


def _grounds(case: LineCase, decision: str, posture: str) -> tuple[Ground, ...]:
    """Return, clause by clause, every minimal set of leaves that denies by itself; an appeal must beat each."""
    if decision != DENY:
        return ()
    order = {leaf.criterion.iri: i for i, leaf in enumerate(case.root.leaves())}
    found = []
    for outcome in _exclusions_first(case.root):
        if outcome.criterion.iri == DOCUMENTED and posture != FINAL:
            continue
        together = outcome.criterion.iri == COVERED and len(outcome.parts) > 1
        by_itself = (outcome,) if together else outcome.parts
        for part in by_itself:
            denies = outcome.criterion.iri == NOT_EXCLUDED
            name = part.criterion.iri.removesuffix(UNLESS)
            for one in sets_for(part, denies, ground):
                found.append(Ground(name, tuple(sorted(one, key=order.__getitem__))))
    return tuple(found)


def _exclusions_first(root: Outcome) -> list[Outcome]:
    return sorted(root.parts, key=lambda outcome: outcome.criterion.iri != NOT_EXCLUDED)


def _caveats(case: LineCase) -> Iterator[Outcome]:
    """Yield the clauses that an approval leaves open."""
    for outcome in case.root.parts:
        for part in outcome.parts:
            settled = part.refuted if outcome.criterion.iri == NOT_EXCLUDED else part.met
            if not settled and not outcome.met:
                yield part


def open_field(leaf: Outcome, knowledge: Knowledge) -> str:
    """Return the field that would settle an open leaf: its own where nothing, or a mere region, is known."""
    for inner in leaf.parts:
        name = re.split("#site-|-at-", str(inner.focus))[-1]
        if inner.status == "undocumented" and (ANATOMY + name in knowledge.level_iris or not leaf.criterion.field):
            return inner.criterion.field
    return leaf.criterion.field


class _Changes:
    """What could be documented, and to which decision it would lead."""

    def __init__(self, case: LineCase, posture: str, bases: Mapping[str, Judged], knowledge: Knowledge) -> None:
        self.case = case
        self.posture = posture
        self.bases = bases
        self.knowledge = knowledge

    def all(self, decision: str) -> tuple[Change, ...]:
        """Return the minimal sets of facts that would secure, approve or deny the line."""
        found = []
        if decision == APPROVE and not self.case.root.met:
            excluded = [o for o in self.case.root.parts if o.criterion.iri == NOT_EXCLUDED and not o.met]
            for outcome in excluded:
                found += [("secured", one) for one in self.sets(outcome, True)]
        if decision in (PEND, DENY):
            found += [(APPROVE, one) for one in self.approving()]
        if decision in (PEND, APPROVE):
            found += [(DENY, one) for one in self.denying()]
        order = {leaf.criterion.iri: i for i, leaf in enumerate(self.case.root.leaves())}
        return tuple(
            Change(to, tuple(sorted(one, key=lambda atom: (order.get(atom.leaf, -1), atom)))) for to, one in found
        )

    def approving(self) -> Sets[Atom]:
        """Return the minimal sets of facts that would approve the line under the posture."""
        parts = self.case.root.parts
        if self.posture == ADVISORY and self.case.supported and not any(outcome.refuted for outcome in parts):
            parts = tuple(o for o in parts if o.criterion.iri in (COVERED, CONDITIONED))
        return all_of((self.sets(outcome, True) for outcome in parts), self.consistent)

    def denying(self) -> Sets[Atom]:
        """Return the minimal sets of facts that would deny the line under the posture."""
        hard = (o for o in self.case.root.parts if o.criterion.iri != DOCUMENTED)
        return any_of(self.sets(outcome, False) for outcome in hard)

    def missing(self, decision: str) -> tuple[Atom, ...]:
        """Return the open facts that bear on a decision that is not settled by what is known."""
        if decision == DENY and not (self.posture == FINAL and not _hard(self.case)):
            return ()
        open_leaves = dict.fromkeys(
            atom for change in self.all(decision) for atom in change.facts if atom.status in ("present", "met")
        )
        if decision == APPROVE:
            groups = {part: outcome for outcome in self.case.root.parts for part in outcome.parts}
            settled = (
                self.sets(caveat, groups[caveat].criterion.iri != NOT_EXCLUDED) for caveat in _caveats(self.case)
            )
            open_leaves = dict.fromkeys(
                atom._replace(status="present") if not atom.is_field else atom
                for sets in settled
                for one in sets
                for atom in one
            )
        if decision == PEND:  # a record that was shown not to hold something can still be completed
            asked = (leaf for o in self.case.root.parts if o.criterion.iri == DOCUMENTED for leaf in o.leaves())
            refuted = (leaf.criterion for leaf in asked if leaf.refuted and not leaf.met)
            for leaf in refuted:
                name = local_name(leaf.concept)
                if name in self.knowledge.facts:
                    open_leaves[Atom(name, "present", leaf.region, leaf.iri, False)] = None
        order = {leaf.criterion.iri: i for i, leaf in enumerate(self.case.root.leaves())}
        return tuple(sorted(open_leaves, key=lambda atom: (order.get(atom.leaf, -1), atom)))

    def sets(self, outcome: Outcome, positive: bool) -> Sets[Atom]:
        return sets_for(outcome, positive, self.atom, self.consistent)

    def atom(self, leaf: Outcome, positive: bool) -> Sets[Atom]:
        """Return what would make a leaf met or refuted: nothing more, a fact or field, or nothing that could."""
        if leaf.met if positive else leaf.refuted:
            return (frozenset(),)
        if leaf.met or leaf.refuted:
            return ()
        criterion = leaf.criterion
        if criterion.iri == BASE and self.bases:
            return self.based(leaf, positive)
        if criterion.concept:
            name = local_name(criterion.concept)
            if name not in self.knowledge.facts:
                return ()
            status = "present" if positive else "absent"
            return (frozenset((Atom(name, status, criterion.region, criterion.iri, False),)),)
        field = open_field(leaf, self.knowledge)
        if not field:
            return ()
        return (frozenset((Atom(field, "met" if positive else "not-met", "", criterion.iri, True),)),)

    def based(self, leaf: Outcome, positive: bool) -> Sets[Atom]:
        """Return what would approve one base line, or deny them all."""
        open_bases = [
            _Changes(base.cases[self.posture], self.posture, {}, self.knowledge)
            for base in self.bases.values()
            if base.decisions[self.posture].decision == PEND
        ]
        if positive:
            return any_of(base.approving() for base in open_bases)
        return all_of((base.denying() for base in open_bases), self.consistent)

    def consistent(self, atoms: frozenset[Atom]) -> bool:
        """Say whether the record could state all of the facts at once: no presence below an absence."""
        present = [atom for atom in atoms if atom.status in ("present", "met")]
        return not any(
            other.status in ("absent", "not-met") and self._denies(other, atom) for atom in present for other in atoms
        )

    def _denies(self, absent: Atom, present: Atom) -> bool:
        if absent.is_field or present.is_field:
            return absent.leaf == present.leaf and absent.is_field == present.is_field
        above = self.knowledge.ancestors(self.knowledge.facts[present.name])
        return self.knowledge.facts[absent.name] in above and absent.region == present.region
