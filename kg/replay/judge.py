"""Replay of the judgement: which edits hold, and how each line is decided under each posture.

For `kg.verify` alone. Base lines are decided first, then the lines that are added to them.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from kg.graph import Graph
from kg.replay.book import BASE, CONTINUOUS, COVERED, DOCUMENTED, EXCLUSIONS, STANCES, Book, Clause, Edit
from kg.replay.changes import Changes, regardless
from kg.replay.criteria import read_criterion
from kg.replay.lines import (
    APPROVE,
    DENY,
    NOT_BILLABLE,
    PEND,
    POSTURES,
    REVIEW,
    Case,
    Verdict,
    because,
    doubts,
    payable,
)
from kg.replay.reading import Reading
from kg.replay.record import Record, record_of
from kg.replay.rules import Stated, derive
from kg.terms import COV

if TYPE_CHECKING:
    from kg.load import Claim

UNVERIFIED = "unverified clauses would change the decision"
CONFLICTING = "conflicting facts would change the decision"
BASE_IN_REVIEW = "a base study of the line is for review"
UNMENTIONED = "no coverage clause mentions the code, and no exclusion is established"
SILENT = "no clause mentions the code"


class Hit(NamedTuple):
    """An edit that holds for a line, or for the claim where `line` is None; `node` is the line that it was asked of."""

    line: int | None
    edit: Edit
    node: str


class Judge:
    """One claim under one edition."""

    def __init__(self, claim: "Claim", book: Book, edition: str) -> None:
        self.claim, self.book, self.edition = claim, book, edition
        self.derived = derive(claim.iri, claim.facts, book.background)
        self.reading = Reading(claim.iri, claim.facts, self.derived, book.graph, book.kept)
        self.nodes = {number: claim.iri + node for number, node, _ in claim.lines}

    @cached_property
    def hits(self) -> list[Hit]:
        """Return the edits that hold: those of all payers, then those of the edition."""
        clauses = (clause for clause in self.book.clauses(self.edition) if clause.effect)
        of_policy = [self.book.edit(c.criterion, c.effect, c.is_verified) for c in clauses]
        found: list[Hit] = []
        for edit in (*self.book.edits, *of_policy):
            for number, node in self.nodes.items():
                if self.reading.bits(edit.criterion, node) == (True, False):
                    found.append(Hit(None if edit.is_of_claim else number, edit, node))
                    if edit.is_of_claim:
                        break
        return found

    @cached_property
    def guidelines(self) -> list[tuple[str, str]]:
        """Return the guidelines in force on the date of service, each with its edition."""
        book = self.book
        found = ((one, book.edition(one, self.claim.service_date)) for one in book.documents("Guideline"))
        return [(guideline, edition) for guideline, edition in found if edition]

    @cached_property
    def record(self) -> Record:
        """Return what the record of the operation could say."""
        operated = frozenset(Stated(self.claim.iri, Graph(self.claim.facts), self.book.background).operated)
        return record_of(self.book, self.edition, tuple(edition for _, edition in self.guidelines), operated)

    def case(self, node: str, reading: Reading) -> Case:
        """Return the clauses that concern a line."""
        book = self.book

        def concerning(edition: str) -> tuple[Clause, ...]:
            clauses = (c for c in book.clauses(edition) if not c.effect)
            return tuple(c for c in clauses if c.concerns is None or reading.bits(c.concerns, node)[0])

        spoken: list[tuple[str, Clause]] = []
        for guideline, edition in self.guidelines:
            spoken += [(book.notation(guideline), c) for c in concerning(edition) if c.kind in STANCES]
        clauses = concerning(self.edition)
        is_continuous = reading.bits(read_criterion(book.graph, CONTINUOUS), node)[0]
        return Case(clauses, tuple(spoken), is_continuous, payable(book, clauses, is_continuous), reading, node)

    @cached_property
    def verdicts(self) -> dict[str, dict[str, Verdict]]:
        """Return how each line is decided under each posture."""
        nodes, found = self.nodes.values(), {}
        for node in (node for node in nodes if not self.bases(node)):
            case = self.case(node, self.reading)
            found[node] = {posture: self.verdict(case, posture, ()) for posture in POSTURES}
        for node in (node for node in nodes if self.bases(node)):
            bases = [base for base in self.bases(node) if base in found and not self.bases(base)]
            found[node] = {
                posture: self.added(node, posture, {b: found[b][posture] for b in bases}) for posture in POSTURES
            }
        return found

    def bases(self, node: str) -> tuple[str, ...]:
        """Return the lines to which a line is added."""
        return tuple(map(str, self.reading.graph.objects(node, COV + "baseLine")))

    def added(self, node: str, posture: str, bases: Mapping[str, Verdict]) -> Verdict:
        """Decide a line that is added to others, by how they are decided."""
        reading = self.reading.decided({base: verdict.decision for base, verdict in bases.items()})
        return self.verdict(self.case(node, reading), posture, tuple(bases.values()))

    def stops(self, node: str) -> Iterator[Edit]:
        """Yield the edits that stop a line."""
        for hit in self.hits:
            is_here = hit.line is None or self.nodes[hit.line] == node
            if hit.edit.effect == COV + "StopsClaim" or (hit.edit.effect == COV + "StopsLine" and is_here):
                yield hit.edit

    def verdict(self, case: Case, posture: str, bases: tuple[Verdict, ...]) -> Verdict:
        """Decide a line under a posture (decision rules 13 to 21)."""
        stops = list(self.stops(case.node))
        surely = tuple(edit.criterion.iri for edit in stops if edit.is_verified)
        if surely:
            return Verdict(case, posture, NOT_BILLABLE, bases, surely, is_regardless=True)
        if stops:
            stopped = tuple(edit.criterion.iri for edit in stops)
            return Verdict(case, posture, REVIEW, bases, stopped, UNVERIFIED, is_doubted=True, is_regardless=True)
        decision = case.settled(posture)
        if not case.is_mentioned or decision == REVIEW:
            return Verdict(case, posture, REVIEW, bases, note=UNMENTIONED if case.is_mentioned else SILENT)
        own = any(refuted for name, (_, refuted) in case.groups.items() if name not in (COVERED, DOCUMENTED))
        if decision != APPROVE and not own and any(base.is_doubted for base in bases):
            return Verdict(case, posture, REVIEW, bases, (BASE,), BASE_IN_REVIEW)
        if doubted := doubts(case, posture, self.book):
            is_unverified = any(clause.iri in doubted for clause in case.clauses)
            note = UNVERIFIED if is_unverified else CONFLICTING
            return Verdict(case, posture, REVIEW, bases, doubted, note, is_doubted=True)
        is_open = decision != DENY and not case.bits(case.root)[0]
        always = regardless(case, posture, self.record, self.book) if is_open else ""
        always = "" if always == decision else always
        said = tuple(because(case, always or decision, posture)) or tuple(because(case, PEND, posture))
        return Verdict(case, posture, always or decision, bases, said, is_regardless=bool(always))

    def changes(self, verdict: Verdict) -> Changes:
        """Return what could be documented of a line."""
        return Changes(verdict, self.book, self.record)

    def reason(self, verdict: Verdict) -> str:
        """Return the class of a denial: that of the first exclusion, else of the first clause that decided."""
        if verdict.decision == NOT_BILLABLE:
            return self.book.notation(COV + "Coding")
        clauses = {clause.iri: clause for clause in verdict.case.clauses}
        decided = [clauses[iri] for iri in verdict.because if iri in clauses]
        first = sorted(decided, key=lambda clause: clause.kind not in EXCLUSIONS)[:1]
        reason = next((clause.reason for clause in first if clause.reason), COV + "NotMedicallyNecessary")
        return self.book.notation(reason) if verdict.decision == DENY else ""
