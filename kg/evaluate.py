"""Evaluate: the status of each criterion at a line, with the witnesses that make it so.

A status is two bits, met and refuted, and so are the joins of criteria (Belnap's four values; without
conflicts, Kleene's three). A leaf's bits are whether its two derived SHACL shapes hold.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from kg.criteria import Criterion
from kg.shapes import NONE, Run, Witnesses
from kg.terms import COV, Term


class Outcome(NamedTuple):
    """What the facts make of a criterion at a node, and of the criteria below it."""

    criterion: Criterion
    focus: Term
    met: bool
    refuted: bool
    why: Witnesses = NONE
    why_not: Witnesses = NONE
    parts: tuple["Outcome", ...] = ()

    @property
    def status(self) -> str:
        """Return `met`, `not-met`, `undocumented` or `conflicting`."""
        return STATUSES[self.met, self.refuted]

    def leaves(self) -> Iterator["Outcome"]:
        """Yield the outcomes of the leaves, in the order of the source."""
        if self.criterion.is_leaf:
            yield self
        else:
            for part in self.parts:
                yield from part.leaves()


STATUSES = {
    (True, False): "met",
    (False, True): "not-met",
    (False, False): "undocumented",
    (True, True): "conflicting",
}

Side = tuple[Callable[[Iterable[bool]], bool], list[tuple[int, bool]]]


def side_of(kind: str, count: int, positive: bool) -> Side:
    """Return how a side of a join follows from sides of its parts: all or any of (part, side).

    `none` holds where no part does; `unless` where the first part does and none of the others.
    """
    everywhere = range(count)
    match kind:
        case "and":
            return (all if positive else any), [(i, positive) for i in everywhere]
        case "or":
            return (any if positive else all), [(i, positive) for i in everywhere]
        case "none":
            return (all if positive else any), [(i, not positive) for i in everywhere]
        case "not":
            return all, [(0, not positive)]
        case "unless":
            return (all if positive else any), [(i, positive == (i == 0)) for i in everywhere]
    raise ValueError(kind)


def joined(criterion: Criterion, focus: Term, parts: Iterable[Outcome]) -> Outcome:
    """Return the outcome of a join from those of its parts."""
    members = tuple(parts)
    bits = []
    for positive in (True, False):
        quantifier, sides = side_of(criterion.kind, len(members), positive)
        bits.append(quantifier(members[i].met if side else members[i].refuted for i, side in sides))
    return Outcome(criterion, focus, bits[0], bits[1], parts=members)


def evaluate(criterion: Criterion, run: Run, focus: Term, known: dict[tuple[str, Term], Outcome]) -> Outcome:
    """Return the outcome of a criterion at a node; `known` holds the outcomes already found in the same graph."""
    key = (criterion.iri, focus)
    if key not in known:
        if criterion.is_leaf:
            known[key] = _leaf(criterion, run, focus, known)
        else:
            known[key] = joined(criterion, focus, (evaluate(part, run, focus, known) for part in criterion.parts))
    return known[key]


def _leaf(criterion: Criterion, run: Run, focus: Term, known: dict[tuple[str, Term], Outcome]) -> Outcome:
    why = criterion.met.holds(run, focus) if criterion.met else NONE
    why_not = criterion.refuted.holds(run, focus) if criterion.refuted else NONE
    reached = criterion.path.reach(run.graph, focus) if criterion.parts and criterion.path else ()
    parts = tuple(evaluate(inner, run, value, known) for inner in criterion.parts for value in reached)
    return Outcome(criterion, focus, bool(why), bool(why_not), why, why_not, parts)


def reread(outcome: Outcome, reading: Callable[[Outcome], tuple[bool, bool]]) -> Outcome:
    """Return an outcome as it would be if its leaves had other bits."""
    if outcome.criterion.is_leaf:
        met, refuted = reading(outcome)
        return outcome._replace(met=met, refuted=refuted)
    return joined(outcome.criterion, outcome.focus, (reread(part, reading) for part in outcome.parts))


def group(name: str, kind: str, label: str, focus: Term, parts: Iterable[Outcome]) -> Outcome:
    """Join outcomes under one of the criteria that every line is judged by."""
    members = tuple(parts)
    criterion = Criterion(COV + name, kind, label, parts=tuple(part.criterion for part in members))
    return joined(criterion, focus, members)
