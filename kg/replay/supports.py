"""Replay of the proofs: what shows a thing, as sets of triples in the order in which they are told.

For `kg.verify` alone.
"""

from collections.abc import Iterable
from itertools import chain, islice

from kg.terms import Triple

Piece = tuple[Triple, ...]  # triples that are told in one breath: a walk, or what says one thing of a node
Support = tuple[Piece, ...]
Supports = tuple[Support, ...]

MANY = 4096  # supports of one fact that are looked at
ALREADY: Supports = ((),)


def triples_of(support: Support) -> frozenset[Triple]:
    """Return the triples of a support."""
    return frozenset(chain.from_iterable(support))


def minimal(supports: Iterable[Support]) -> Supports:
    """Drop each support that contains another; of equal ones the first stays, and so does their order."""
    given = list(islice(supports, MANY))
    if len(given) < 2:
        return tuple(given)
    sets = [triples_of(support) for support in given]
    kept: list[int] = []
    for i in sorted(range(len(sets)), key=lambda i: len(sets[i])):
        if not any(sets[other] <= sets[i] for other in kept):
            kept.append(i)
    return tuple(given[i] for i in sorted(kept))


def together(*each: Iterable[Support]) -> Supports:
    """Return what shows all of several things, from what shows each."""
    result = ALREADY
    for supports in each:
        result = minimal(a + b for a in result for b in supports)
    return result


def said(*triples: Triple) -> Supports:
    """Return some triples as the one support of what they say."""
    return ((triples,),)


def at_once(supports: Iterable[Support]) -> Supports:
    """Tell each support in one breath, no triple twice."""
    return minimal((tuple(dict.fromkeys(chain.from_iterable(support))),) for support in supports)


def one_walk(walk: Piece) -> Support:
    """Return a walk as a support; one of no steps needs none."""
    return (walk,) if walk else ()
