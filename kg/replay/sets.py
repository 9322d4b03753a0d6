"""Replay of the sets: the least sets of things by which a side of a criterion comes about, found in two ways.

For `kg.verify` alone. One way tries: it takes a set by which it does, drops things while it still does, then forbids
each thing of what is left in turn and looks again for a set without it, until none is found; so every least set is
come upon, since each that is not the one at hand lacks a thing of it (Reiter, "A theory of diagnosis from first
principles", 1987). The other walks the criteria, and so says in which order the sets are told.
"""

from collections.abc import Callable, Iterable
from itertools import chain

from kg.replay.criteria import Criterion, sides

LISTED = 256  # more sets than anyone reads: further ones are not told
TRIED = 1 << 10  # looks for a least set: enough for ten open leaves that count one way each
Set = frozenset[int]
Sets = list[Set]
OfLeaf = Callable[[Criterion, bool], Sets]  # by which a side of a leaf comes about


def least_sets(criterion: Criterion, positive: bool, of_leaf: OfLeaf, is_consistent: Callable[[Set], bool]) -> Sets:
    """Return all least sets, none against itself, as trying finds them, in the order in which a walk comes upon them.

    Of more than are told, or more than can be tried, only the walk is believed.
    """
    walk = walked(criterion, positive, of_leaf, is_consistent)
    found = tried(criterion, positive, of_leaf)
    if found is None or len(walk) == LISTED:
        return walk
    consistent = set(filter(is_consistent, found))
    return [one for one in walk if one in consistent] + sorted(consistent.difference(walk), key=sorted)


def walked(
    criterion: Criterion, positive: bool, of_leaf: OfLeaf, is_consistent: Callable[[Set], bool] = lambda _: True
) -> Sets:
    """Return the least sets by which a side of a criterion comes about, from those of its parts."""
    if criterion.is_leaf:
        return of_leaf(criterion, positive)
    needs_each, needed = sides(criterion, positive)
    each = [walked(part, side, of_leaf, is_consistent) for part, side in needed]
    return of_each(each, is_consistent) if needs_each else least(chain.from_iterable(each))


def of_each(each: Iterable[Sets], is_consistent: Callable[[Set], bool]) -> Sets:
    """Return the least sets that hold one set of each of several kinds."""
    found: Sets = [frozenset()]
    for some in each:
        found = least(both for a in found for b in some if is_consistent(both := a | b))
    return found


def least(sets: Iterable[Set]) -> Sets:
    """Drop each set that contains another; the smaller come before the larger."""
    kept: Sets = []
    for one in sorted(dict.fromkeys(sets), key=len):
        if not any(other <= one for other in kept):
            kept.append(one)
    return kept[:LISTED]


def tried(criterion: Criterion, positive: bool, of_leaf: OfLeaf) -> set[Set] | None:
    """Return all least sets by which a side of a criterion comes about; None where too much would have to be tried."""
    found: set[Set] = set()
    waiting, seen = [frozenset[int]()], set[Set]()
    while waiting:
        forbidden = waiting.pop()
        if forbidden in seen:
            continue
        seen.add(forbidden)
        if len(seen) > TRIED:
            return None
        one = next((known for known in found if not known & forbidden), None)
        if one is None:
            some = some_set(criterion, positive, of_leaf, forbidden)
            if some is None:
                continue
            one = shrunk(some, criterion, positive, of_leaf)
            found.add(one)
        waiting += (forbidden | {thing} for thing in one)
    return found


def some_set(criterion: Criterion, positive: bool, of_leaf: OfLeaf, forbidden: Set) -> Set | None:
    """Return a set without what is forbidden by which a side of a criterion comes about, if there is one."""
    if criterion.is_leaf:
        return next((one for one in of_leaf(criterion, positive) if not one & forbidden), None)
    needs_each, needed = sides(criterion, positive)
    found: Sets = []
    for part, side in needed:
        one = some_set(part, side, of_leaf, forbidden)
        if one is None and needs_each:
            return None
        if one is not None:
            found.append(one)
    return frozenset(chain.from_iterable(found)) if needs_each else min(found, key=len, default=None)


def shrunk(one: Set, criterion: Criterion, positive: bool, of_leaf: OfLeaf) -> Set:
    """Drop things from a set while a side of a criterion still comes about by it."""
    for thing in sorted(one):
        if comes_about(criterion, positive, of_leaf, one - {thing}):
            one = one - {thing}
    return one


def comes_about(criterion: Criterion, positive: bool, of_leaf: OfLeaf, by: Set) -> bool:
    """Say whether a side of a criterion comes about by some things."""
    if criterion.is_leaf:
        return any(one <= by for one in of_leaf(criterion, positive))
    needs_each, needed = sides(criterion, positive)
    shown = (comes_about(part, side, of_leaf, by) for part, side in needed)
    return all(shown) if needs_each else any(shown)
