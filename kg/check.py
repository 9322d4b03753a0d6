"""Check: coding edits, before coverage. What stops a line or a claim, and what is only reported."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from kg.evaluate import Outcome, evaluate
from kg.knowledge import Edit, Edition, Knowledge
from kg.load import Claim
from kg.shapes import Run
from kg.terms import Term

STOPS_CLAIM = "StopsClaim"
STOPS_LINE = "StopsLine"
ALERT = "RaisesAlert"


class Hit(NamedTuple):
    """An edit that holds for a line, or for the claim where `line` is None."""

    line: int | None
    effect: str
    outcome: Outcome
    verified: bool


def check(
    claim: Claim, knowledge: Knowledge, edition: Edition | None, run: Run, known: dict[tuple[str, Term], Outcome]
) -> tuple[Hit, ...]:
    """Return the coding edits that hold: those of all payers, then those of a policy's edition."""
    clauses = edition.clauses if edition else ()
    edits = [(edit, True) for edit in knowledge.edits]
    edits += [(Edit(clause.criterion, clause.effect), clause.verified) for clause in clauses if clause.effect]
    hits: list[Hit] = []
    for edit, verified in edits:
        for number, node, _ in claim.lines:
            outcome = evaluate(edit.criterion, run, node, known)
            if outcome.met and not outcome.refuted:
                hits.append(Hit(None if edit.criterion.of_claim else number, edit.effect, outcome, verified))
                if edit.criterion.of_claim:
                    break
    return tuple(hits)


def stops(hits: tuple[Hit, ...], number: int, verified: bool) -> tuple[Outcome, ...]:
    """Return the edits that make a line not billable, of clauses whose wording is verified or of the others."""
    return tuple(
        hit.outcome
        for hit in hits
        if hit.verified == verified
        and (hit.effect == STOPS_CLAIM or (hit.effect == STOPS_LINE and hit.line in (None, number)))
    )


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


__all__ = ["ALERT", "Hit", "Overlap", "check", "overlaps", "stops"]
