"""Decide: from the outcomes of clauses to the decision of each line, under each posture.

Only what is true of clauses in general stands here; what a clause asks stands in its policy. The rules are
those of the decision rules in README.md: edits, then conflicts and unverified clauses, then exclusions, then
coverage; continuous lines stand or fall with their base lines.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from kg.changes import Atom, Change, Changes, always, has_both_sides
from kg.check import Hit, check, stops
from kg.docket import CONDITIONED, COVERED, DOCUMENTED, NOT_EXCLUDED, Case, Ground, book_of
from kg.evaluate import Reading
from kg.knowledge import Edition, Knowledge
from kg.lazy import lazy
from kg.load import Claim
from kg.outcome import Bits, Outcome
from kg.plan import BASE, MANY, remember
from kg.reason import Reasoned
from kg.terms import COV

APPROVE, DENY, PEND, NOT_BILLABLE, REVIEW = "approve", "deny", "pend", "not-billable", "review"
PAYER, ADVISORY, FINAL = "payer", "advisory", "final"
POSTURES = (PAYER, ADVISORY, FINAL)
MAX_READINGS = 8  # conflicting leaves whose readings are tried one by one; with more, a person must look
SETTLED = {APPROVE: COV + "approve", DENY: COV + "deny", NOT_BILLABLE: COV + "notBillable"}
BASE_LINE = COV + "baseLine"
UNVERIFIED = "unverified clauses would change the decision"
CONFLICTING = "conflicting facts would change the decision"
BASE_IN_REVIEW = "a base study of the line is for review"
UNMENTIONED = "no coverage clause mentions the code, and no exclusion is established"
SILENT = "no clause mentions the code"


class Outlook(NamedTuple):
    """What a decision leaves open: the facts that bear on it, the clauses, what would change it, and if nothing can."""

    missing: tuple[Atom, ...]
    caveats: tuple[Outcome, ...]
    changes: tuple[Change, ...]
    regardless: bool


NOTHING_OPEN = Outlook((), (), (), regardless=True)


@dataclass(eq=False)
class Decision:
    """The decision of a case under one posture, and why; what is not asked for is not worked out."""

    case: Case
    posture: str
    decision: str
    bases: "Bases" = ()
    note: str = ""
    doubts: tuple[str, ...] = ()
    regardless: bool = False  # it follows however the open facts turn out, though some are open

    @lazy
    def because(self) -> tuple[str, ...]:
        """Return the criteria that decided."""
        if self.decision == NOT_BILLABLE:
            return tuple(outcome.criterion.iri for outcome in self.case.stopped.surely)
        if self.decision == REVIEW:
            return self.doubts
        return tuple(_because(self.case, self.decision, self.posture) or _because(self.case, PEND, self.posture))

    @property
    def reason(self) -> str:
        """Return the class of a denial: that of the first clause that decided; exclusions go before others."""
        if self.decision != DENY:
            return COV + "Coding" if self.decision == NOT_BILLABLE else ""
        clauses = self.case.docket.clauses
        for iri in self.because:
            if iri in clauses:
                return clauses[iri].reason or COV + "NotMedicallyNecessary"
        return COV + "NotMedicallyNecessary"

    @lazy
    def grounds(self) -> tuple[Ground, ...]:
        """Return, clause by clause, every minimal set of leaves that denies by itself; an appeal must beat each."""
        if self.decision != DENY:
            return ()
        found: list[Ground] = []
        for group in self.case.groups.values():
            if group.name != DOCUMENTED or self.posture == FINAL:
                found += self.case.docket.grounds[group]
        return tuple(found)

    @lazy
    def outlook(self) -> Outlook:
        """Return what the decision leaves open; nothing where what is shown denies the line."""
        if self.decision == DENY and self.case.defeated and self.posture != FINAL:
            return NOTHING_OPEN  # as most are
        caveats = self._caveats()
        return Outlook(self._missing(caveats), caveats, self.changes, self.decided_regardless)

    def _caveats(self) -> tuple[Outcome, ...]:
        """Return the clauses that an approval leaves open."""
        if self.decision != APPROVE or self.regardless:
            return ()
        return tuple([outcome for group in self.case.groups.values() for outcome in group.caveats])

    @lazy
    def changes(self) -> tuple[Change, ...]:
        """Return the minimal sets of facts that would secure, approve or deny the line."""
        case, decision = self._undecided, self.decision
        if decision in (NOT_BILLABLE, REVIEW) or self.regardless or case.defeated:
            return ()  # what is defeated stays so, whatever else is documented
        found: list[tuple[str, int]] = []
        if decision == APPROVE and not case.met:
            found += [("secured", one) for one in self._changes.sets(case.groups[NOT_EXCLUDED].outcome, True)]
        if decision in (PEND, DENY):
            found += [(APPROVE, one) for one in self._changes.approving]
        if decision in (PEND, APPROVE):
            found += [(DENY, one) for one in self._changes.denying]
        return tuple([Change(to, self._changes.atoms(one)) for to, one in found if one])

    def _missing(self, caveats: tuple[Outcome, ...]) -> tuple[Atom, ...]:
        """Return the open facts that bear on a decision that is not settled by what is known."""
        if self.decision == DENY and not (self.posture == FINAL and not self._undecided.defeated):
            return ()
        if self.decision in (NOT_BILLABLE, REVIEW) or self.regardless:
            return ()
        if self.decision == APPROVE and not caveats:
            return ()
        asked = self._changes.settling(caveats) if self.decision == APPROVE else self._changes.bearing()
        if self.decision == PEND:
            asked += self._changes.recording()
        return tuple([atom for _, atom in sorted({*asked})])

    @lazy
    def decided_regardless(self) -> bool:
        """Say whether every completion of the open facts gives this decision: no document is worth asking for."""
        if self.decision == NOT_BILLABLE or self.case.stopped.doubtfully:
            return True
        if self.note == BASE_IN_REVIEW:
            return self._stays_in_review
        if self.decision == REVIEW:
            return not self.case.docket.mentioned or self._changes.unanimous(REVIEW)
        if self.decision == PEND or self.changes:
            return False
        if self.regardless or (self._undecided.defeated and self.posture != FINAL):
            return True
        return not self._changes.might_turn(self.decision == APPROVE)

    @property
    def _stays_in_review(self) -> bool:
        """Say whether no base line can be approved, nor the line be denied by clauses of its own."""
        settled = (base.decision in (DENY, NOT_BILLABLE, REVIEW) and base.decided_regardless for base in self.bases)
        own = (g.outcome for name, g in self.case.groups.items() if name not in (COVERED, DOCUMENTED))
        return all(settled) and not any(self._changes.sets(outcome, False) for outcome in own)

    @lazy
    def _changes(self) -> Changes:
        return _changes_of(self._undecided, self.posture, self.bases)

    @lazy
    def _turning_out(self) -> Changes:
        return _changes_of(self._undecided, self.posture, self.bases, turning_out=True)

    def changes_for(self, turning_out: bool) -> Changes | None:
        """Return what could be documented of the line, for one that is added to it, or how it may turn out.

        None where a person is to look at it anyway.
        """
        if self.decision == REVIEW and self.note != UNMENTIONED:
            return None
        return self._turning_out if turning_out else self._changes

    @property
    def is_pending(self) -> bool:
        """Say whether a line added to this one waits for it."""
        return self.decision in (PEND, REVIEW) or self.is_unproven

    @property
    def is_unproven(self) -> bool:
        """Say whether the line is denied for no more than what is undocumented."""
        return self.decision == DENY and self.posture == FINAL and not self.case.defeated

    @lazy
    def _undecided(self) -> Case:
        """Return the case as it is while a base line that is denied can still be proven."""
        case = self.case
        base = case.docket.plan.bit.get(BASE, 0)
        if not case.bits.refuted & base or not any(one.is_unproven for one in self.bases):
            return case
        return case.supposing(case.bits._replace(refuted=case.bits.refuted & ~base))


Bases = tuple[Decision, ...]


@dataclass(eq=False, slots=True)
class Judged:
    """A line with its decision under each posture, and what the facts were read as."""

    number: int
    node: str
    code: str
    decisions: Mapping[str, Decision]
    readings: Mapping[str, Reading]


def decide(
    claim: Claim, reasoned: Reasoned, knowledge: Knowledge, edition: Edition
) -> tuple[tuple[Judged, ...], tuple[Hit, ...]]:
    """Decide every line under every posture; base lines first, then the lines added to them."""
    book = book_of(claim, knowledge, edition)
    reading = Reading(book.plan, reasoned)
    bits = {node: reading.bits(node) for _, node, _ in claim.lines}
    hits = check(claim, book.edits, bits)
    stopped = stops(hits)
    operated = reasoned.operated_regions
    alone: dict[str, Judged] = {}
    everywhere = dict.fromkeys(POSTURES, reading)
    for number, node, code in claim.lines:
        if (node, BASE_LINE) not in reasoned.index:
            case = book.case(bits[node], operated, stopped(number))
            alone[node] = Judged(number, node, code, decisions_of(case), everywhere)
    judged = alone.copy()
    for number, node, code in claim.lines:
        if node not in alone:
            bases = [alone[str(base)] for base in reasoned.index[node, BASE_LINE] if base in alone]
            decisions, readings = {}, {}
            read: dict[tuple[str, ...], tuple[Reading, Case]] = {}
            for posture in POSTURES:
                based = tuple([base.decisions[posture] for base in bases])
                said = tuple([SETTLED.get(base.decision, "") for base in based])
                if said not in read:
                    here = reading.with_decisions(decided(bases, posture)) if any(said) else reading
                    read[said] = here, book.case(here.bits(node), operated, stopped(number))
                readings[posture], case = read[said]
                decisions[posture] = decision_of(case, posture, based)
            judged[node] = Judged(number, node, code, decisions, readings)
    return tuple([judged[node] for _, node, _ in claim.lines]), hits


def decided(bases: Iterable[Judged], posture: str) -> dict[str, str]:
    """Return the decisions of base lines that are settled; one that pends says nothing yet."""
    found = ((base.node, SETTLED.get(base.decisions[posture].decision)) for base in bases)
    return {node: settled for node, settled in found if settled}


# One line under one posture


def settle(case: Case, posture: str) -> str:
    """Return the decision that the groups of clauses lead to (decision rules 13 to 21)."""
    if case.defeated:
        return DENY
    if COVERED not in case.groups:
        return REVIEW
    if case.met:
        return APPROVE
    if posture == FINAL:
        return DENY
    if posture == ADVISORY and case.recommended:
        documented, conditioned = case.groups.get(DOCUMENTED), case.groups.get(CONDITIONED)
        covered = case.groups[COVERED].met and (conditioned is None or conditioned.met)
        if covered and not (documented and documented.refuted):
            return APPROVE
    return PEND


def decisions_of(case: Case) -> Mapping[str, Decision]:
    """Return the decision of a case under each posture, where it depends on no other line."""
    known: Mapping[str, Decision] | None = case.docket.decisions.get(case)
    if known is None:
        known = case.docket.decisions[case] = {posture: _decision(case, posture, ()) for posture in POSTURES}
    return known


def decision_of(case: Case, posture: str, bases: Bases) -> Decision:
    """Return the decision of a line added to others under a posture: it depends on theirs."""
    key = (case, posture, *bases)
    known: Decision | None = case.docket.decisions.get(key)
    return known or remember(case.docket.decisions, key, _decision(case, posture, bases), MANY)


def _decision(case: Case, posture: str, bases: Bases) -> Decision:
    if case.stopped.surely:
        return Decision(case, posture, NOT_BILLABLE)
    if case.stopped.doubtfully:
        stopped = tuple(outcome.criterion.iri for outcome in case.stopped.doubtfully)
        return Decision(case, posture, REVIEW, note=UNVERIFIED, doubts=stopped)
    if not case.docket.mentioned:
        return Decision(case, posture, REVIEW, note=SILENT)
    decision = settle(case, posture)
    if decision == REVIEW:
        return Decision(case, posture, REVIEW, note=UNMENTIONED)
    if bases and decision != APPROVE and _base_in_review(case, bases):
        return Decision(case, posture, REVIEW, bases, note=BASE_IN_REVIEW, doubts=(BASE,))
    if case.is_doubtful and (doubts := tuple(dict.fromkeys(_doubts(case, posture, decision)))):
        unverified = any(iri in case.docket.clauses for iri in doubts)
        return Decision(case, posture, REVIEW, note=UNVERIFIED if unverified else CONFLICTING, doubts=doubts)
    if (decision == PEND or (decision == APPROVE and not case.met)) and has_both_sides(case):
        changes = _changes_of(case, posture, bases, turning_out=True)
        if always(changes.denying, changes.documentable):
            return Decision(case, posture, DENY, bases, regardless=True)
        if decision == PEND and always(changes.approving, changes.documentable):
            return Decision(case, posture, APPROVE, bases, regardless=True)
    return Decision(case, posture, decision, bases)


def _changes_of(case: Case, posture: str, bases: Bases, turning_out: bool = False) -> Changes:
    """Return what could be documented of a case under a posture, or how its open leaves may turn out."""

    def verdict(supposed: Case) -> str:
        decision = settle(supposed, posture)
        return REVIEW if supposed.is_doubtful and any(_doubts(supposed, posture, decision)) else decision

    pending = [one.changes_for(turning_out) for one in bases if one.is_pending]
    return Changes(case, posture == ADVISORY, verdict, pending if bases else None, turning_out)


def _base_in_review(case: Case, bases: Bases) -> bool:
    """Say whether a line that its own clauses do not deny rests on a base line that rule 16 sends to a person."""
    own = any(group.defeats for group in case.groups.values() if group.name != COVERED)
    return not own and any(base.note in (UNVERIFIED, CONFLICTING) for base in bases)


def _doubts(case: Case, posture: str, decision: str) -> Iterator[str]:
    """Yield the unverified clauses and conflicting leaves that would change the decision (decision rule 16).

    Every reading of the conflicting leaves is tried, with the unverified clauses and without them.
    """
    docket, bits, conflicts = case.docket, case.bits, case.conflicts
    bit = docket.plan.bit
    names = [leaf.iri for leaf in docket.leaves if bit[leaf.iri] & conflicts] if conflicts else []
    conflicting = [bit[name] for name in names]
    if len(conflicting) > MAX_READINGS:
        yield from names
        return
    decisions, fewer = [], []
    for chosen in product((True, False), repeat=len(conflicting)):
        unmet = sum(bit for bit, met in zip(conflicting, chosen, strict=True) if not met)
        read = Bits(bits.met & ~unmet, bits.refuted & ~(conflicts & ~unmet), bits.within)
        supposed = case.supposing(read)
        decisions.append(settle(supposed, posture))
        if docket.unverified:
            fewer.append(settle(supposed.verified(), posture) if docket.verified else REVIEW)
    if docket.unverified and decisions != fewer:
        yield from docket.unverified
    if {*decisions, *fewer} != {decision}:
        yield from names


def _because(case: Case, decision: str, posture: str) -> list[str]:
    """Return the clauses that decided: each that defeats, each that covers, or each that is open."""
    if decision == APPROVE:
        covering = case.groups[COVERED].shown
        return covering + case.recommended if posture == ADVISORY and not case.met else covering
    found: list[str] = []
    for group in case.groups.values():
        if decision == PEND:
            found += group.open
        elif not case.defeated:  # final: whatever is not shown counts against the line
            found += group.unshown
        elif group.name != DOCUMENTED or posture == FINAL:
            found += group.against
    return found
