"""Replay of the background: the order of the spine, what lies where, what codes state, from the ontology.

For `kg.verify` alone.
"""

from collections import defaultdict
from datetime import date
from itertools import chain, pairwise
from pathlib import Path

from kg.graph import Graph
from kg.replay.supports import ALREADY, Piece, Support, Supports, at_once, minimal, said, together
from kg.terms import ANATOMY, COV, ICD10CM, RDFS, Literal, Term, local_name

SPINE, CORD = ANATOMY + "VertebralColumn", ANATOMY + "SpinalCord"
PART_OF, CAUDAL = ANATOMY + "partOf", ANATOMY + "directlyCaudalTo"
SUBCLASS_OF = RDFS + "subClassOf"


class Background:
    """The knowledge as the rules read it; what is found of it is kept, since it is the same for all claims."""

    def __init__(self, graph: Graph, root: Path) -> None:
        self.graph = graph
        self._above: dict[tuple[str, Term], dict[Term, Supports]] = {}
        release = (root / "ontology/codes/icd10cm-release.txt").read_text()
        self.release = f"\n{release}\n"
        lines = (root / "ontology/codes/icd10cm-history.txt").read_text().splitlines()
        rows = [line.split() for line in lines if not line.startswith("#")]
        self.gone = {code: date.fromisoformat(gone) for code, _, gone in rows if gone != "-"}
        below = {rostral: caudal for caudal, p, rostral in graph if p == CAUDAL}
        level = next(iter(set(below) - set(below.values())))
        self.spine = [level]
        while level in below:
            level = below[level]
            self.spine.append(level)
        self.rank = {level: i for i, level in enumerate(self.spine)}

    def above(self, predicate: str, node: Term) -> dict[Term, Supports]:
        """Return a node and all to which a property leads from it, the nearest first, each with all ways there."""
        key = (predicate, node)
        if key not in self._above:
            ways: list[tuple[Term, Piece]] = [(node, ())]
            for step in self.graph.objects(node, predicate):
                for end, longer in self.above(predicate, step).items():
                    ways += [(end, ((node, predicate, step), *chain.from_iterable(way))) for way in longer]
            found: dict[Term, list[Support]] = {}
            for end, way in sorted(ways, key=lambda one: len(one[1])):
                found.setdefault(end, []).append((way,) if way else ())
            self._above[key] = {end: tuple(supports) for end, supports in found.items()}
        return self._above[key]

    def stated(self, code: str, predicate: str) -> dict[Term, Supports]:
        """Return what a class or one above it states by a property, with what shows it."""
        found: dict[Term, list[Support]] = {}
        for cls, ways in self.above(SUBCLASS_OF, code).items():
            for value in self.graph.objects(cls, predicate):
                shown = at_once((*way, ((cls, predicate, value),)) for way in ways)
                found.setdefault(value, []).extend(shown)
        return {value: minimal(supports) for value, supports in found.items()}

    def main_region(self, place: str) -> tuple[str, Supports]:
        """Return the region of the spine, of those that are direct parts of it, in which a place lies."""
        for region, ways in self.above(PART_OF, place).items():
            if (region, PART_OF, SPINE) in self.graph:
                return str(region), ways
        return place, ALREADY

    def walk(self, caudal: Term, rostral: Term) -> Piece:
        """Return the steps up the spine from one level to another."""
        levels = self.spine[self.rank[rostral] : self.rank[caudal] + 1]
        return tuple((lower, CAUDAL, upper) for upper, lower in reversed(list(pairwise(levels))))

    def extent(self, place: str) -> list[Term]:
        """Return the levels of a place, from the head down."""
        return [level for level in self.spine if place in self.above(PART_OF, level)]

    def within(self, level: Term, place: str) -> Supports:
        """Return what shows that a level lies in a place."""
        return self.above(PART_OF, level)[place]

    def is_cord(self, structure: Term) -> bool:
        """Say whether a structure is the cord or part of it."""
        return CORD in self.above(PART_OF, structure)

    def courses(self, code: str) -> dict[Term, Supports]:
        """Return the structures that the pathways of what a code records run through."""
        found: dict[Term, list[Support]] = defaultdict(list)
        steps = (COV + "modality", "https://w3id.org/coverpath/monitoring#monitors")
        runs = "https://w3id.org/coverpath/monitoring#runsThrough"
        for modality in self.graph.objects(code, steps[0]):
            for pathway in self.graph.objects(modality, steps[1]):
                for structure in self.graph.objects(pathway, runs):
                    way = ((code, steps[0], modality), (modality, steps[1], pathway), (pathway, runs, structure))
                    found[structure].append((way,))
        return {structure: minimal(ways) for structure, ways in found.items()}

    def enclosed(self, place: str) -> dict[Term, Supports]:
        """Return what the canal holds at a place, and the roots that leave there."""
        encloses, exits = ANATOMY + "encloses", ANATOMY + "exitsAt"
        found: dict[Term, Supports] = {x: said((place, encloses, x)) for x in self.graph.objects(place, encloses)}
        for level in self.extent(place):
            for root in self.graph.subjects(exits, level):
                shown = at_once(together(said((root, exits, level)), self.within(level, place)))
                found[root] = minimal((*found.get(root, ()), *shown))
        return found

    def validity(self, code: str, day: date) -> tuple[str, Piece]:
        """Return what a code is on a date of service, with what the ontology says of its end or start."""
        start, end = (self.graph.value(code, COV + name) for name in ("billableFrom", "billableUntil"))
        first, last = (date.fromisoformat(x.value[:10]) if isinstance(x, Literal) else None for x in (start, end))
        plain = local_name(code).replace(".", "")
        of_release = first is None and code.startswith(ICD10CM)
        was_listed = of_release and plain in self.gone
        if first is not None and day < first:
            return "NotYetValidCode", ((code, COV + "billableFrom", start or ""),)
        if was_listed and day >= self.gone[plain] and (last is None or self.gone[plain] < last):
            return "ExpiredCode", ()
        if last is not None and day >= last:
            return "ExpiredCode", ((code, COV + "billableUntil", end or ""),)
        known = not of_release or was_listed or f"\n{plain}\n" in self.release
        return ("ValidCode" if known else "HeaderCode"), ()
