"""Check: coding edits, before coverage. What stops a line or a claim, and what is only reported."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from kg.knowledge import Edit, Edition, Knowledge
from kg.lazy import Table
from kg.load import Claim
from kg.outcome import Bits, Outcome
from kg.plan import MANY, Plan

STOPS_CLAIM = "StopsClaim"
STOPS_LINE = "StopsLine"
ALERT = "RaisesAlert"


class Hit(NamedTuple):
    """An edit that holds for a line, or for the claim where `line` is None; `node` is the line that it was asked of."""

    line: int | None
    effect: str
    outcome: Outcome
    verified: bool
    node: str


class Edits:
    """The coding edits of all payers, and those of an edition; which of them hold depends on the bits of a line."""

    def __init__(self, plan: Plan, knowledge: Knowledge, edition: Edition | None) -> None:
        clauses = edition.clauses if edition else ()
        self.plan = plan
        self.edits = [(edit, True) for edit in knowledge.edits]
        self.edits += [(Edit(clause.criterion, clause.effect), clause.verified) for clause in clauses if clause.effect]
        self.mask = plan.states(edit.criterion for edit, _ in self.edits)
        self._holding = Table(self._which, MANY)

    def holding(self, bits: Bits) -> tuple[tuple[int, Outcome], ...]:
        """Return the edits that hold, each with its place among them."""
        return self._holding[self.plan.state(bits) & self.mask]

    def _which(self, state: int) -> tuple[tuple[int, Outcome], ...]:
        bits = self.plan.bits(state)
        outcomes = ((i, self.plan.outcome(edit.criterion, bits)) for i, (edit, _) in enumerate(self.edits))
        return tuple((i, outcome) for i, outcome in outcomes if outcome.met and not outcome.refuted)


def check(claim: Claim, edits: Edits, bits: Mapping[str, Bits]) -> tuple[Hit, ...]:
    """Return the coding edits that hold, in their order: those of all payers, then those of a policy's edition."""
    found: list[tuple[int, Hit]] = []
    said: set[int] = set()
    for number, node, _ in claim.lines:
        for place, outcome in edits.holding(bits[node]):
            edit, verified = edits.edits[place]
            if place not in said:
                of_claim = edit.criterion.of_claim
                found.append((place, Hit(None if of_claim else number, edit.effect, outcome, verified, node)))
                if of_claim:
                    said.add(place)
    return tuple(hit for _, hit in sorted(found, key=lambda pair: pair[0]))


class Stopped(NamedTuple):
    """The edits that make a line not billable; those of unverified clauses are for a person."""

    surely: tuple[Outcome, ...] = ()
    doubtfully: tuple[Outcome, ...] = ()


UNSTOPPED = Stopped()


def stops(hits: Iterable[Hit]) -> Callable[[int], Stopped]:
    """Return what tells the edits that make a line not billable, those of the whole claim among them."""
    by_line: dict[int | None, list[tuple[int, Hit]]] = {}
    for i, hit in enumerate(hits):
        if hit.effect in (STOPS_CLAIM, STOPS_LINE):
            by_line.setdefault(None if hit.effect == STOPS_CLAIM else hit.line, []).append((i, hit))

    def of_line(number: int) -> Stopped:
        if not by_line:
            return UNSTOPPED
        found = [hit for _, hit in sorted((*by_line.get(None, ()), *by_line.get(number, ())), key=lambda one: one[0])]
        return Stopped(tuple(h.outcome for h in found if h.verified), tuple(h.outcome for h in found if not h.verified))

    return of_line


class Overlap(NamedTuple):
    """Minutes that one interpreter reports on two claims."""

    interpreter: str
    one: tuple[str, int]
    other: tuple[str, int]


def overlaps(claims: Iterable[Claim]) -> Iterator[Overlap]:
    """Yield the lines of several claims on which one interpreter is at work at the same time (decision rule 26).

    An alert of the run: it is part of no claim's determination.
    """
    seen: dict[str, list[tuple[tuple[str, int], datetime, datetime]]] = {}
    for claim in claims:
        for number, line in enumerate(claim.document["lines"], 1):
            interpreter = line.get("performer", {}).get("id")
            for interval in line.get("intervals", ()) if interpreter else ():
                start, end = (datetime.fromisoformat(interval[name]) for name in ("start", "end"))
                here = (claim.id, number)
                for there, a, b in seen.setdefault(interpreter, []):
                    alike = (a.tzinfo is None) == (start.tzinfo is None)
                    if there[0] != claim.id and alike and start < b and a < end:
                        yield Overlap(interpreter, there, here)
                seen[interpreter].append((here, start, end))


__all__ = ["ALERT", "Edits", "Hit", "Overlap", "Stopped", "check", "overlaps", "stops"]
