"""Engines that judge the evaluator, each behind the same small function; and our own statuses in the same form.

An engine is given the derived shapes and the union of claims, derived facts and ontology. It says which probes fail:
a probe without a result conforms.
"""

from kg.evaluate import Outcome, evaluate
from kg.explain import Determination
from kg.shapes import Run
from kg.terms import Term

Status = tuple[bool, bool]  # met, refuted


def statuses(determination: Determination, posture: str = "payer") -> dict[tuple[str, int], Status]:
    """Return the two bits of each criterion at each line, as the evaluator finds them."""
    run = Run(determination.facts(posture).graph)
    known: dict[tuple[str, Term], Outcome] = {}
    found = {}
    for criterion in determination.knowledge.criteria.values():
        for number, line, _ in determination.claim.lines:
            outcome = evaluate(criterion, run, line, known)
            found[criterion.iri, number] = (outcome.met, outcome.refuted)
    return found
