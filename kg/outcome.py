"""Outcomes: the status of a criterion and of those below it, and how a join follows from its parts.

A status is two bits, met and refuted, and so are the joins of criteria (Belnap's four values; without
conflicts, Kleene's three).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import NamedTuple

from kg.criteria import Criterion


@dataclass(eq=False, slots=True)  # never changed; a frozen one takes thrice as long to make
class Outcome:
    """What the facts make of a criterion, and of the criteria below it.

    It names nothing of a claim: equal statuses of the leaves give the same outcome. `field` is what would settle
    an open leaf. `silent` says that nothing is known that bears on it.
    """

    criterion: Criterion
    met: bool
    refuted: bool
    parts: tuple["Outcome", ...] = ()
    field: str = ""
    silent: bool = False

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

Side = tuple[Callable[[Iterable[bool]], bool], tuple[tuple[int, bool], ...]]


@cache
def side_of(kind: str, count: int, positive: bool) -> Side:
    """Return how a side of a join follows from sides of its parts: all or any of (part, side).

    `none` holds where no part does; `unless` where the first part does and none of the others.
    """
    everywhere = range(count)
    match kind:
        case "and":
            return (all if positive else any), tuple((i, positive) for i in everywhere)
        case "or":
            return (any if positive else all), tuple((i, positive) for i in everywhere)
        case "none":
            return (all if positive else any), tuple((i, not positive) for i in everywhere)
        case "not":
            return all, ((0, not positive),)
        case "unless":
            return (all if positive else any), tuple((i, positive == (i == 0)) for i in everywhere)
    raise ValueError(kind)


@cache
def _asked(kind: str, count: int, positive: bool) -> tuple[Callable[[Iterable[bool]], bool], tuple[str, ...]]:
    """Return how a side of a join follows from its parts: all or any of these of them, where each is asked one."""
    quantifier, sides = side_of(kind, count, positive)
    return quantifier, tuple("met" if side else "refuted" for _, side in sides)


def joined(criterion: Criterion, parts: Iterable[Outcome]) -> Outcome:
    """Return the outcome of a join from those of its parts."""
    members = tuple(parts)
    every, met = _asked(criterion.kind, len(members), True)
    some, refuted = _asked(criterion.kind, len(members), False)
    silent = all(map(_SILENT, members))
    return Outcome(
        criterion, every(map(getattr, members, met)), some(map(getattr, members, refuted)), members, silent=silent
    )


_SILENT = attrgetter("silent")


class Bits(NamedTuple):
    """Which leaves are met, which are refuted, and which open ones wait for what a leaf within them asks."""

    met: int
    refuted: int
    within: int
