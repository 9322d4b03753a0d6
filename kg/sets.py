"""Sets of things that together bring an outcome about: grounds for one that is so, changes for one that is not.

Both walk the same tree of joins; they differ only in what a leaf contributes. All sets returned are minimal.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from kg.evaluate import Outcome, side_of

T = TypeVar("T")
Sets = tuple[frozenset[T], ...]

LIMIT = 256  # more minimal sets than anyone reads; the answer says where they were cut


def minimal(sets: Iterable[frozenset[T]]) -> Sets[T]:
    """Drop each set that contains another; keep the order."""
    kept: list[frozenset[T]] = []
    for one in sorted(dict.fromkeys(sets), key=len):
        if not any(other <= one for other in kept):
            kept.append(one)
    return tuple(kept)


def all_of(sides: Iterable[Sets[T]], consistent: Callable[[frozenset[T]], bool]) -> Sets[T]:
    """Return the minimal sets that bring about every side."""
    result: Sets[T] = (frozenset(),)
    for side in sides:
        result = minimal(u for a in result for b in side if consistent(u := a | b))[:LIMIT]
    return result


def any_of(sides: Iterable[Sets[T]]) -> Sets[T]:
    """Return the minimal sets that bring about at least one side."""
    return minimal(one for side in sides for one in side)[:LIMIT]


def sets_for(
    outcome: Outcome,
    positive: bool,
    atom: Callable[[Outcome, bool], Sets[T]],
    consistent: Callable[[frozenset[T]], bool] = lambda _: True,
) -> Sets[T]:
    """Return the minimal sets of atoms that make a criterion met, or refuted."""
    if outcome.criterion.is_leaf:
        return atom(outcome, positive)
    quantifier, sides = side_of(outcome.criterion.kind, len(outcome.parts), positive)
    found = (sets_for(outcome.parts[i], side, atom, consistent) for i, side in sides)
    return all_of(found, consistent) if quantifier is all else any_of(found)


def ground(outcome: Outcome, positive: bool) -> Sets[str]:
    """Return what a leaf contributes to grounds: itself, where it is so."""
    holds = outcome.met if positive else outcome.refuted
    return (frozenset((outcome.criterion.iri,)),) if holds else ()
