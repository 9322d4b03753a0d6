"""Check: coding edits, before coverage. What stops a line or a claim, and what is only reported."""

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


def check(
    claim: Claim, knowledge: Knowledge, edition: Edition | None, run: Run, known: dict[tuple[str, Term], Outcome]
) -> tuple[Hit, ...]:
    """Return the coding edits that hold: those of all payers, then those of a policy's edition."""
    clauses = edition.clauses if edition else ()
    of_policy = [Edit(clause.criterion, clause.effect) for clause in clauses if clause.effect]
    hits: list[Hit] = []
    for edit in (*knowledge.edits, *of_policy):
        for number, node, _ in claim.lines:
            outcome = evaluate(edit.criterion, run, node, known)
            if outcome.met and not outcome.refuted:
                hits.append(Hit(None if edit.criterion.of_claim else number, edit.effect, outcome))
                if edit.criterion.of_claim:
                    break
    return tuple(hits)


def stops(hits: tuple[Hit, ...], number: int) -> tuple[Outcome, ...]:
    """Return the edits that make a line not billable."""
    return tuple(
        hit.outcome
        for hit in hits
        if hit.effect == STOPS_CLAIM or (hit.effect == STOPS_LINE and hit.line in (None, number))
    )


__all__ = ["ALERT", "Hit", "check", "stops"]
