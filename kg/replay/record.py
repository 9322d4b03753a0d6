"""Replay of the record: all that it could say that some criterion asks for, and what each such fact would settle.

For `kg.verify` alone. A fact is known by its name and by the leaves that its presence would meet or its absence refute:
present facts meet what asks for them or for a broader one, absent ones refute what asks for them or a narrower one.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from kg.replay.background import PART_OF, SUBCLASS_OF
from kg.replay.book import Book
from kg.replay.criteria import OPEN, Bits, Criterion
from kg.replay.rules import OPERATED_REGION
from kg.terms import local_name

Facts = frozenset[int]  # by their places in the record


class Atom(NamedTuple):
    """A fact or a field of the claim, and what the record would say of it."""

    name: str
    status: str
    region: str
    leaf: str
    is_field: bool

    @property
    def is_positive(self) -> bool:
        """Say whether the record would show something, rather than its absence."""
        return self.status in ("present", "met")


class Record:
    """All that the record of an operation in some regions could say that some leaf asks for, each by its place."""

    def __init__(self, book: Book, leaves: tuple[Criterion, ...], operated: frozenset[str]) -> None:
        self.book, self.leaves, self.operated = book, leaves, operated
        self.atoms: list[Atom] = []
        self.asked: list[list[Criterion]] = []  # the leaves that ask for each by its own name
        self.brings: list[frozenset[str]] = []  # the leaves that each makes met, or refuted
        places: dict[tuple[str, bool, frozenset[str]], int] = {}
        for leaf in leaves:
            for positive in (True, False):
                if not leaf.concept or local_name(leaf.concept) in book.facts:
                    self._enter(leaf, positive, places)
        self.ways = {
            (leaf.iri, positive): [
                i for i, brings in enumerate(self.brings) if leaf.iri in brings and self.is_positive(i) == positive
            ]
            for leaf in leaves
            for positive in (True, False)
        }

    def _enter(self, leaf: Criterion, positive: bool, places: dict[tuple[str, bool, frozenset[str]], int]) -> None:
        if leaf.concept:
            status = "present" if positive else "absent"
            atom = Atom(local_name(leaf.concept), status, leaf.region, leaf.iri, False)
            brings = frozenset(other.iri for other in self.leaves if self._settles(leaf, other, positive))
        else:
            atom = Atom("", "met" if positive else "not-met", "", leaf.iri, True)
            brings = frozenset({leaf.iri})
        place = places.setdefault((atom.name, positive, brings), len(self.atoms))
        if place == len(self.atoms):
            self.atoms.append(atom)
            self.asked.append([])
            self.brings.append(brings)
        self.asked[place].append(leaf)

    def _settles(self, stated: Criterion, asked: Criterion, positive: bool) -> bool:
        """Say whether the presence of what one leaf asks for meets another, or its absence refutes it."""
        if not asked.concept:
            return False
        above = self.book.background.above
        low, high = (stated, asked) if positive else (asked, stated)
        if high.concept not in above(SUBCLASS_OF, low.concept):
            return False
        if not asked.region:
            return True
        places = self._places(stated.region, positive)
        if positive:
            return any(asked.region in above(PART_OF, place) for place in places)
        return any(place in above(PART_OF, asked.region) for place in places)

    def _places(self, region: str, present: bool) -> set[str]:
        """Return where a fact is that is listed of a region, or of none."""
        if region in ("", OPERATED_REGION):
            return {*self.operated, OPERATED_REGION}
        main, _ = self.book.background.main_region(region)
        return {region} | ({OPERATED_REGION} if main in self.operated and (present or main == region) else set())

    def is_positive(self, place: int) -> bool:
        """Say whether a fact is that something is so."""
        return self.atoms[place].is_positive

    def own(self, leaf: Criterion, positive: bool) -> Facts:
        """Return what a leaf itself asks for, present or absent; nothing where the record cannot state it."""
        return frozenset(i for i in self.ways[leaf.iri, positive] if leaf in self.asked[i])

    def are_alike(self, one: Criterion, other: Criterion) -> bool:
        """Say whether two leaves are one, or one asks for a kind of what the other asks for."""
        above, a, b = self.book.background.above, one.concept, other.concept
        return one == other or bool(a and b and (a in above(SUBCLASS_OF, b) or b in above(SUBCLASS_OF, a)))

    def opposite(self, place: int) -> int | None:
        """Return the absence of what is present."""
        return next(iter(self.own(self.asked[place][0], False)), None)

    def brought(self, facts: Iterable[int]) -> dict[str, Bits]:
        """Return the leaves that facts would make met, and refuted."""
        found: dict[str, Bits] = {}
        for i in facts:
            for iri in self.brings[i]:
                met, refuted = found.get(iri, OPEN)
                found[iri] = met or self.is_positive(i), refuted or not self.is_positive(i)
        return found

    def is_consistent(self, facts: Facts) -> bool:
        """Say whether the record could state facts at once: none that another denies."""
        return all(bits != (True, True) for bits in self.brought(facts).values())


@cache
def record_of(book: Book, policy: str, guidelines: tuple[str, ...], operated: frozenset[str]) -> Record:
    """Return what the record of an operation in some regions could say that editions ask for."""
    return Record(book, book.leaves(policy, guidelines), operated)
