"""Sets of things that together bring an outcome about: grounds for one that is so, changes for one that is not.

Both walk the same tree of joins; they differ only in what a leaf contributes. A set is a number whose bits are
its members; all sets returned are minimal, the smaller before the larger.
"""

from collections.abc import Callable, Iterable, Iterator

from kg.outcome import Outcome, side_of

Sets = tuple[int, ...]

NONE: Sets = ()
NOTHING_MORE: Sets = (0,)
LIMIT = 256  # more minimal sets than anyone reads


def minimal(sets: Iterable[int]) -> Sets:
    """Drop each set that contains another; keep the order among those of equal size."""
    given = dict.fromkeys(sets)
    if len({*map(int.bit_count, given)}) < 2:  # as most often: of different sets of one size none contains another
        return tuple(given)
    kept: list[int] = []
    for one in sorted(given, key=int.bit_count):
        for other in kept:
            if other & one == other:
                break
        else:
            kept.append(one)
    return tuple(kept)


def all_of(sides: Iterable[Sets], consistent: Callable[[int], bool]) -> Sets:
    """Return the minimal sets that bring about every side."""
    result = NOTHING_MORE
    for side in sides:
        if side == NOTHING_MORE:
            continue
        if len(side) == 1 and len(result) == 1:  # as most often
            one = result[0] | side[0]
            result = (one,) if consistent(one) else NONE
        else:
            result = minimal([u for a in result for b in side if consistent(u := a | b)])[:LIMIT]
        if not result:
            return NONE
    return result


def any_of(sides: Iterable[Sets]) -> Sets:
    """Return the minimal sets that bring about at least one side."""
    found = [side for side in sides if side]
    if len(found) == 1:  # as most often
        return found[0]
    return minimal([one for side in found for one in side])[:LIMIT]


def sets_for(
    outcome: Outcome,
    positive: bool,
    leaf: Callable[[Outcome, bool], Sets],
    consistent: Callable[[int], bool] = lambda _: True,
    known: Callable[[Outcome, bool], Sets] | None = None,
) -> Sets:
    """Return the minimal sets that make a criterion met, or refuted, from what makes a leaf so.

    `known` gives those of the parts, where they are remembered.
    """
    if outcome.criterion.is_leaf:
        return leaf(outcome, positive)
    quantifier, sides = side_of(outcome.criterion.kind, len(outcome.parts), positive)
    of_part = known or (lambda part, side: sets_for(part, side, leaf, consistent))
    found = [of_part(outcome.parts[i], side) for i, side in sides]
    return all_of(found, consistent) if quantifier is all else any_of(found)


def members(one: int) -> Iterator[int]:
    """Yield the places of the bits of a set."""
    while one:
        bit = one & -one
        yield bit.bit_length() - 1
        one ^= bit
